package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.tercel.kernels.format.DecoderInput;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.trainer.torch.LayerArrays;
import io.tercel.trainer.torch.Parameter;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The parameters of one decoder layer, by their names in a checkpoint, and the arrays that a pass
 * reads of them. Shares of ranges ({@code .clip}) are kept as logits, so that they stay in (0, 1).
 */
final class StudentLayer {
  private final ModelConfig config;
  private final int index;
  private final Map<String, Parameter> parameters;

  /**
   * @param parameters the whole model's, from which it takes those that have its names
   */
  StudentLayer(ModelConfig config, int index, Map<String, Parameter> parameters) {
    this.config = config;
    this.index = index;
    this.parameters = parameters;
  }

  Parameter weight(Matrix which) {
    Parameter weight = parameters.get(which.name(index) + ".weight");
    if (weight == null) {
      throw new IllegalStateException("layer " + index + " has no " + which);
    }
    return weight;
  }

  /** What one pass reads: arrays, and of which parameter each is a view. */
  final class Leaves {
    private final NDManager manager;
    private final boolean gradient;
    private final Map<Parameter, NDArray> leaves = new LinkedHashMap<>();

    Leaves(NDManager manager, boolean gradient) {
      this.manager = manager;
      this.gradient = gradient;
    }

    LayerArrays arrays() {
      LayerArrays arrays = new LayerArrays();
      for (Matrix which : Matrix.values()) {
        arrays.weight(which, leaf(weight(which)));
        ifPresent(which.name(index) + ".bias", bias -> arrays.bias(which, bias));
      }
      for (Norm which : Norm.values()) {
        if (which.present(config)) {
          ifPresent(which.name(index) + ".weight", norm -> arrays.norm(which, norm));
        }
      }
      for (DecoderInput which : DecoderInput.values()) {
        String name = which.transformName(index);
        arrays.input(
            which,
            new LayerArrays.Input(
                optional(name + ".left"), optional(name + ".right"), shares(name + ".clip")));
      }
      String attention = "model.layers." + index + ".self_attn.";
      NDArray keys = optional(attention + "k_transform");
      NDArray queries = optional(attention + "q_transform");
      if (keys != null && queries != null) {
        arrays.keys(keys, queries);
      }
      return arrays.cacheShares(shares(attention + "k_clip"), shares(attention + "v_clip"));
    }

    private NDArray leaf(Parameter parameter) {
      NDArray leaf = parameter.leaf(manager, gradient);
      leaves.put(parameter, leaf);
      return leaf;
    }

    private @Nullable NDArray optional(String name) {
      Parameter parameter = parameters.get(name);
      return parameter == null ? null : leaf(parameter);
    }

    private void ifPresent(String name, Consumer<NDArray> then) {
      NDArray array = optional(name);
      if (array != null) {
        then.accept(array);
      }
    }

    private @Nullable NDArray shares(String name) {
      NDArray logits = optional(name);
      return logits == null ? null : logits.getNDArrayInternal().sigmoid();
    }

    /** Adds what a backward pass left to the parameters' gradients. */
    void accumulate() {
      leaves.forEach(Parameter::accumulate);
    }
  }
}

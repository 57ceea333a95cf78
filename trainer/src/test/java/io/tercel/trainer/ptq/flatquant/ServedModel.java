package io.tercel.trainer.ptq.flatquant;

import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.trainer.ptq.transform.Kronecker;
import io.tercel.trainer.ptq.transform.OnlineTransforms;
import io.tercel.trainer.ptq.transform.OnlineTransforms.Clips;
import io.tercel.trainer.ptq.transform.SquareMatrix;
import io.tercel.trainer.ptq.transform.W4Layer;
import io.tercel.trainer.ptq.transform.W4Layer.W4Linear;
import io.tercel.trainer.quant.W4Matrix;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A W4A4KV4 checkpoint read apart from the engine's loader. */
final class ServedModel {
  private final ModelConfig config;
  private final Map<String, RawTensor> tensors;

  ServedModel(Path directory, ModelConfig config) {
    this.config = config;
    this.tensors = RawSafetensors.readDirectory(directory);
  }

  float[] floats(String name) {
    return Objects.requireNonNull(tensors.get(name), name).toFloats();
  }

  private float @Nullable [] optional(String name) {
    RawTensor tensor = tensors.get(name);
    return tensor == null ? null : tensor.toFloats();
  }

  float[] head() {
    float[] own = optional("lm_head.weight");
    return own == null ? floats("model.embed_tokens.weight") : own;
  }

  W4Layer layer(int index) {
    Map<Matrix, W4Linear> linears = new EnumMap<>(Matrix.class);
    for (Matrix which : Matrix.values()) {
      String name = which.name(index);
      RawTensor packed = Objects.requireNonNull(tensors.get(name + ".weight_packed"), name);
      byte[] codes = new byte[2 * packed.data().length];
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) (packed.data()[i / 2] << (i % 2 == 0 ? 28 : 24) >> 28);
      }
      W4Matrix matrix =
          new W4Matrix(
              which.rows(config), which.cols(config), codes, floats(name + ".weight_scale"));
      linears.put(which, new W4Linear(matrix, optional(name + ".bias"), new float[0]));
    }
    Map<Norm, float[]> norms = new EnumMap<>(Norm.class);
    for (Norm norm : Norm.values()) {
      if (norm.present(config)) {
        norms.put(norm, floats(norm.name(index) + ".weight"));
      }
    }
    return new W4Layer(linears, norms, online("model.layers." + index + "."));
  }

  private OnlineTransforms online(String layer) {
    String attention = layer + "self_attn.";
    return new OnlineTransforms(
        kronecker(attention + "qkv_transform", config.hiddenSize()),
        kronecker(attention + "o_transform", config.queryDim()),
        kronecker(layer + "mlp.gate_up_transform", config.hiddenSize()),
        kronecker(layer + "mlp.down_transform", config.intermediateSize()),
        matrix(attention + "k_transform"),
        matrix(attention + "q_transform"),
        new Clips(
            optional(attention + "qkv_transform.clip"),
            optional(attention + "o_transform.clip"),
            optional(layer + "mlp.gate_up_transform.clip"),
            optional(layer + "mlp.down_transform.clip"),
            optional(attention + "k_clip"),
            optional(attention + "v_clip")));
  }

  private @Nullable Kronecker kronecker(String name, int width) {
    SquareMatrix left = matrix(name + ".left");
    SquareMatrix right = matrix(name + ".right");
    if (left != null && right != null) {
      return Kronecker.of(left, right);
    }
    return left == null ? null : Kronecker.left(left, width / left.size());
  }

  private @Nullable SquareMatrix matrix(String name) {
    float[] values = optional(name);
    return values == null ? null : SquareMatrix.of(values);
  }
}

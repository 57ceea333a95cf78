package io.tercel.trainer.torch;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DecoderInput;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.Tensor;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link DecoderPass} computes one layer with: weights (rounded already, where they are),
 * norms, biases, and what happens to activations. What was not set is left out.
 */
public final class LayerArrays {
  /**
   * What happens to an input of linears before it is rounded to 4 bits: x becomes L^T mat(x) R.
   *
   * @param left [m, m] or null
   * @param right [n, n] or null
   * @param shares [2], which parts of a token's range below and above 0 are kept; or null
   */
  public record Input(@Nullable NDArray left, @Nullable NDArray right, @Nullable NDArray shares) {}

  private final Map<Matrix, NDArray> weights = new EnumMap<>(Matrix.class);
  private final Map<Matrix, NDArray> biases = new EnumMap<>(Matrix.class);
  private final Map<Norm, NDArray> norms = new EnumMap<>(Norm.class);
  private final Map<DecoderInput, Input> inputs = new EnumMap<>(DecoderInput.class);
  private @Nullable NDArray keys;
  private @Nullable NDArray queries;
  private @Nullable NDArray keyShares;
  private @Nullable NDArray valueShares;

  /** A linear's weight [outputs, inputs]. */
  public LayerArrays weight(Matrix which, NDArray weight) {
    weights.put(which, weight);
    return this;
  }

  /** A linear's bias [outputs]. */
  public LayerArrays bias(Matrix which, NDArray bias) {
    biases.put(which, bias);
    return this;
  }

  public LayerArrays norm(Norm which, NDArray weight) {
    norms.put(which, weight);
    return this;
  }

  public LayerArrays input(DecoderInput which, Input input) {
    inputs.put(which, input);
    return this;
  }

  /**
   * k' = k P and q' = q M after RoPE.
   *
   * @param p [headDim, headDim]
   * @param m its inverse, transposed
   */
  public LayerArrays keys(NDArray p, NDArray m) {
    keys = p;
    queries = m;
    return this;
  }

  /** Shares of the ranges of keys and of values, [2] each. */
  public LayerArrays cacheShares(@Nullable NDArray ofKeys, @Nullable NDArray ofValues) {
    keyShares = ofKeys;
    valueShares = ofValues;
    return this;
  }

  /** A layer in full precision, as it lies in a checkpoint. */
  public static LayerArrays plain(LayerSource layer, NDManager manager) {
    LayerArrays arrays = new LayerArrays();
    for (Matrix which : Matrix.values()) {
      if (!(layer.matrix(which) instanceof LinearSource.Plain linear)) {
        throw new CheckpointException(
            layer.matrix(which).name() + " is quantized; a model in 16 or 32 bits is needed here");
      }
      arrays.weight(
          which,
          manager.create(linear.weight().toFloats(), new Shape(linear.rows(), linear.cols())));
      Tensor bias = linear.bias();
      if (bias != null) {
        arrays.bias(which, manager.create(bias.toFloats()));
      }
    }
    for (Norm which : Norm.values()) {
      Tensor norm = layer.norm(which);
      if (norm != null) {
        arrays.norm(which, manager.create(norm.toFloats()));
      }
    }
    return arrays;
  }

  /** As the script's {@code layer} takes them, behind those of the pass. */
  List<NDArray> arguments(NDArray none) {
    List<NDArray> all = new ArrayList<>();
    for (Norm norm : Norm.values()) {
      all.add(norms.getOrDefault(norm, none));
    }
    for (Matrix matrix : Matrix.values()) {
      NDArray weight = weights.get(matrix);
      if (weight == null) {
        throw new IllegalStateException("the layer has no " + matrix);
      }
      all.add(weight);
    }
    for (Matrix matrix : List.of(Matrix.Q, Matrix.K, Matrix.V)) {
      all.add(biases.getOrDefault(matrix, none));
    }
    for (DecoderInput which : DecoderInput.values()) {
      Input input = inputs.getOrDefault(which, new Input(null, null, null));
      all.add(or(input.left(), none));
      all.add(or(input.right(), none));
      all.add(or(input.shares(), none));
    }
    all.add(or(keys, none));
    all.add(or(queries, none));
    all.add(or(keyShares, none));
    all.add(or(valueShares, none));
    return all;
  }

  private static NDArray or(@Nullable NDArray array, NDArray none) {
    return array == null ? none : array;
  }
}

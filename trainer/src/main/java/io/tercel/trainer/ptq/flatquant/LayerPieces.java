package io.tercel.trainer.ptq.flatquant;

import ai.djl.ndarray.NDArray;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.model.DecoderLayer.Tap;
import io.tercel.trainer.ptq.flatquant.FourBits.Shares;
import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link LayerPass} computes with: weights (rounded already, where they are), norms, and
 * what happens to activations.
 */
final class LayerPieces {
  /**
   * What happens to the input of some linears: x becomes L^T mat(x) R.
   *
   * @param left [m, m] or null
   * @param right [n, n] or null
   * @param clip or null
   */
  record Input(@Nullable NDArray left, @Nullable NDArray right, @Nullable Shares clip) {}

  private static final Input UNCHANGED = new Input(null, null, null);

  private final boolean rounded;
  private final Map<Matrix, NDArray> weights = new EnumMap<>(Matrix.class);
  private final Map<Matrix, NDArray> biases = new EnumMap<>(Matrix.class);
  private final Map<Norm, NDArray> norms = new EnumMap<>(Norm.class);
  private final Map<Tap, Input> inputs = new EnumMap<>(Tap.class);
  private @Nullable NDArray keys;
  private @Nullable NDArray queries;
  private @Nullable Shares keyClip;
  private @Nullable Shares valueClip;

  /**
   * @param rounded whether activations, keys and values are rounded
   */
  LayerPieces(boolean rounded) {
    this.rounded = rounded;
  }

  LayerPieces linear(Matrix which, NDArray weight, @Nullable NDArray bias) {
    weights.put(which, weight);
    if (bias != null) {
      biases.put(which, bias);
    }
    return this;
  }

  LayerPieces norm(Norm which, NDArray weight) {
    norms.put(which, weight);
    return this;
  }

  LayerPieces input(Tap of, Input input) {
    inputs.put(of, input);
    return this;
  }

  /** k' = k P and q' = q P^-T after RoPE. */
  LayerPieces keys(@Nullable NDArray p, @Nullable NDArray inverseTranspose) {
    keys = p;
    queries = inverseTranspose;
    return this;
  }

  LayerPieces clips(@Nullable Shares ofKeys, @Nullable Shares ofValues) {
    keyClip = ofKeys;
    valueClip = ofValues;
    return this;
  }

  boolean rounded() {
    return rounded;
  }

  NDArray weight(Matrix which) {
    return require(weights.get(which), which);
  }

  @Nullable NDArray bias(Matrix which) {
    return biases.get(which);
  }

  NDArray requireNorm(Norm which) {
    return require(norms.get(which), which);
  }

  @Nullable NDArray norm(Norm which) {
    return norms.get(which);
  }

  Input input(Tap of) {
    return inputs.getOrDefault(of, UNCHANGED);
  }

  @Nullable NDArray keys() {
    return keys;
  }

  @Nullable NDArray queries() {
    return queries;
  }

  @Nullable Shares keyClip() {
    return keyClip;
  }

  @Nullable Shares valueClip() {
    return valueClip;
  }

  private static NDArray require(@Nullable NDArray array, Enum<?> which) {
    if (array == null) {
      throw new IllegalStateException("the layer has no " + which);
    }
    return array;
  }
}

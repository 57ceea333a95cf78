package io.tercel.kernels.memory;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DecoderInput;
import io.tercel.kernels.format.KvTransformSource;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.format.TransformSource;
import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Reads the transforms of a layer from a checkpoint and checks their values. */
final class LayerTransforms {
  /** How far an element of key^T query may be from that of the identity. */
  private static final double INVERSE_ERROR = 1e-3;

  private LayerTransforms() {}

  /**
   * Of its linears' inputs.
   *
   * @throws CheckpointException if a value is not finite or a clip is not of (0, 1]
   */
  static Map<DecoderInput, InputTransform> inputs(LayerSource layer) {
    Map<DecoderInput, InputTransform> transforms = new EnumMap<>(DecoderInput.class);
    for (DecoderInput input : DecoderInput.values()) {
      TransformSource source = layer.transform(input);
      float[] clip = clip(source.clip());
      boolean none = source.tensors().findAny().isEmpty();
      transforms.put(
          input,
          none
              ? InputTransform.NONE
              : new InputTransform(
                  floats(source.left()), floats(source.right()), clip[0], clip[1]));
    }
    return transforms;
  }

  /**
   * Of its queries, keys and values.
   *
   * @throws CheckpointException likewise, or if scores would not be what they are without them
   */
  static KvTransform kv(KvTransformSource source) {
    if (source.tensors().findAny().isEmpty()) {
      return KvTransform.NONE;
    }
    float[] key = floats(source.key());
    float[] query = floats(source.query());
    Tensor which = source.query();
    if (key != null && query != null && which != null) {
      requireInverse(key, query, which);
    }
    return new KvTransform(key, query, clip(source.keyClip()), clip(source.valueClip()));
  }

  /** Scores are sums over the columns of (q query) (k key), so query key^T must be the identity. */
  private static void requireInverse(float[] key, float[] query, Tensor which) {
    int size = (int) Math.round(Math.sqrt(key.length));
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        double sum = 0;
        for (int e = 0; e < size; e++) {
          sum += (double) query[i * size + e] * key[j * size + e];
        }
        double error = Math.abs(sum - (i == j ? 1 : 0));
        if (!(error <= INVERSE_ERROR)) {
          throw new CheckpointException(
              "%s is not the inverse of k_transform, transposed: off by %s in row %d, column %d"
                  .formatted(which.where(), error, i, j));
        }
      }
    }
  }

  private static float @Nullable [] floats(@Nullable Tensor tensor) {
    return tensor == null ? null : FiniteWeights.floats(tensor);
  }

  private static float[] clip(@Nullable Tensor tensor) {
    if (tensor == null) {
      return new float[] {1, 1};
    }
    float[] clip = FiniteWeights.floats(tensor);
    for (float c : clip) {
      if (!(c > 0 && c <= 1)) {
        throw new CheckpointException(
            "%s has %s; expected numbers above 0, at most 1".formatted(tensor.where(), c));
      }
    }
    return clip;
  }
}

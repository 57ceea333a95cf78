package io.tercel.kernels.format;

import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where the transforms of queries and keys, and the clips of keys and values, lie in a checkpoint;
 * what is null is left out.
 *
 * @param key F32 [headDim, headDim]
 * @param query F32 [headDim, headDim], the inverse of key, transposed
 * @param keyClip F32 [2], low and high
 * @param valueClip F32 [2]
 */
public record KvTransformSource(
    @Nullable Tensor key,
    @Nullable Tensor query,
    @Nullable Tensor keyClip,
    @Nullable Tensor valueClip) {
  /** Nothing is transformed and nothing clipped. */
  static final KvTransformSource NONE = new KvTransformSource(null, null, null, null);

  /** Those that there are. */
  public Stream<Tensor> tensors() {
    return Stream.of(key, query, keyClip, valueClip).filter(t -> t != null);
  }
}

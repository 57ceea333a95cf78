package io.tercel.kernels.format;

import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where the transform of an input of 4 bits lies in a checkpoint; what is null is left out.
 *
 * @param left F32 [m, m]
 * @param right F32 [n, n]; m n is the input's width where both are there
 * @param clip F32 [2], low and high
 */
public record TransformSource(
    @Nullable Tensor left, @Nullable Tensor right, @Nullable Tensor clip) {

  /** Those that there are. */
  public Stream<Tensor> tensors() {
    return Stream.of(left, right, clip).filter(t -> t != null);
  }
}

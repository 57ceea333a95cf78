package io.tercel.kernels.vector;

import io.tercel.kernels.ops.PreparedInput;
import org.jspecify.annotations.Nullable;

/** {@link Rounding} of the workers' rows, as {@link W3Gemv} or {@link W3Gemm} will read them. */
final class ArrangedRounding implements RowRounding {
  private final KernelScratch[] scratch;

  /**
   * @param scratch each worker's
   */
  ArrangedRounding(KernelScratch[] scratch) {
    this.scratch = scratch;
  }

  @Override
  public void reserve(PreparedInput input) {
    if (input.tokens() == 1) {
      input.arrangedInts(Rounding.pairs(input));
    } else {
      input.arranged(Rounding.floats(input));
    }
  }

  @Override
  public void row(
      float[] x, int at, int @Nullable [] order, PreparedInput input, int token, int worker) {
    Rounding.row(x, at, order, input, token, scratch[worker]);
  }
}

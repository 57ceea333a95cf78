package io.tercel.kernels.vector;

import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.ops.PreparedInput;
import org.jspecify.annotations.Nullable;

/**
 * {@link Rounding} and {@link Int4Rounding} of the workers' rows, as {@link W3Gemv}, {@link W3Gemm}
 * or {@link W4Kernel} will read them.
 */
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

  @Override
  public void reserveInt4(PreparedInput input) {
    input.arrangedInts(Int4Rounding.pairs(input));
  }

  @Override
  public void int4Row(
      float[] x, int at, InputTransform transform, PreparedInput input, int token, int worker) {
    Int4Rounding.row(x, at, transform, input, token, scratch[worker]);
    Int4Rounding.pair(input, token, scratch[worker]);
  }
}

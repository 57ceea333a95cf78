package io.tercel.kernels.vector;

import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.ops.PreparedInput;
import org.jspecify.annotations.Nullable;

/**
 * Rounds rows of activations to the integers of a {@link PreparedInput}, as {@code GroupedInts} and
 * {@code RowInts} define them, and keeps them in another arrangement besides if its own kernels
 * read one.
 */
public interface RowRounding {
  /** Makes room for all rows, before any of them is rounded. */
  void reserve(PreparedInput input);

  /**
   * Rounds one token's row.
   *
   * @param x its {@code input.cols()} floats from {@code at} on
   * @param order packed column j reads {@code x[at + order[j]]}; null where it reads column j
   * @param worker who does it, for scratch of its own
   */
  void row(float[] x, int at, int @Nullable [] order, PreparedInput input, int token, int worker);

  /** Makes room for all rows of 4-bit integers, before any of them is rounded. */
  void reserveInt4(PreparedInput input);

  /**
   * Transforms one token's row and rounds it to 4 bits.
   *
   * @param x its {@code input.cols()} floats from {@code at} on
   */
  void int4Row(
      float[] x, int at, InputTransform transform, PreparedInput input, int token, int worker);
}

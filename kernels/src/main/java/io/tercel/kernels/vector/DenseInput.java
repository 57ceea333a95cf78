package io.tercel.kernels.vector;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.ops.PreparedInput;

/** Plain inputs as the dense kernels read them. */
final class DenseInput {
  /** Columns that two vectors of 16-bit weights hold. */
  static final int PAIRED_BLOCK = 2 * Lanes.VIRTUAL;

  private DenseInput() {}

  /** Floats that {@link #row} wants in {@link PreparedInput#arranged}. */
  static int floats(PreparedInput input) {
    return Math.multiplyExact(input.tokens(), input.cols());
  }

  /**
   * Arranges one token for 16-bit weights: whole blocks of 32 columns are split into 16 even ones,
   * then 16 odd ones, because a 32-bit lane holds an even column below an odd one. The columns
   * after the last whole block stay as they are.
   */
  static void row(PreparedInput input, int token) {
    float[] x = input.values();
    float[] to = input.arranged(floats(input));
    int cols = input.cols();
    int whole = cols / PAIRED_BLOCK * PAIRED_BLOCK;
    int at = token * cols;
    for (int b = at; b < at + whole; b += PAIRED_BLOCK) {
      for (int i = 0; i < Lanes.VIRTUAL; i++) {
        to[b + i] = x[b + 2 * i];
        to[b + Lanes.VIRTUAL + i] = x[b + 2 * i + 1];
      }
    }
    System.arraycopy(x, at + whole, to, at + whole, cols - whole);
  }

  /** [token][cols] in the order of a format's kernels. */
  static float[] values(Dense format, PreparedInput input) {
    return format == Dense.FP32 ? input.values() : input.arranged(floats(input));
  }
}

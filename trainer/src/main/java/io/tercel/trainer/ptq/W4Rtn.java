package io.tercel.trainer.ptq;

import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.quant.W4Grid;
import io.tercel.trainer.quant.W4Matrix;
import org.jspecify.annotations.Nullable;

/** Rounds weights to 4 bits, each to the nearest code of its row. */
final class W4Rtn {
  private W4Rtn() {}

  /** Shares of a row's range that are kept, above and below zero. */
  @FunctionalInterface
  interface Clip {
    /**
     * What code 7 stands for.
     *
     * @param max the row's largest weight, at least 0
     * @param min its least, at most 0
     */
    float magnitude(int row, float max, float min);
  }

  /**
   * Rounds a matrix.
   *
   * @param weight [rows, cols], finite
   * @param clip null keeps the whole range
   * @throws IllegalArgumentException if a weight is not finite or too large for an fp16 scale
   */
  static W4Matrix quantize(float[] weight, int rows, int cols, @Nullable Clip clip, Ops ops) {
    Rtn.checkFinite(weight, cols);
    byte[] codes = new byte[weight.length];
    float[] scales = new float[rows];
    ops.forEach(
        rows,
        (row, _) -> {
          float max = 0;
          float min = 0;
          for (int i = row * cols; i < (row + 1) * cols; i++) {
            max = Math.max(max, weight[i]);
            min = Math.min(min, weight[i]);
          }
          float scale =
              W4Grid.scale(clip == null ? Math.max(max, -min) : clip.magnitude(row, max, min));
          scales[row] = scale;
          for (int i = row * cols; i < (row + 1) * cols; i++) {
            codes[i] = (byte) W4Grid.code(weight[i], scale);
          }
        });
    return new W4Matrix(rows, cols, codes, scales);
  }
}

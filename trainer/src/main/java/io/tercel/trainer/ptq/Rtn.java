package io.tercel.trainer.ptq;

import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.GroupFit;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.util.Arrays;

/** Round to nearest: every weight by itself, on the grid of its group. Needs no calibration. */
public final class Rtn {
  private Rtn() {}

  /**
   * Quantizes a matrix.
   *
   * @param weight [rows, cols], finite
   * @throws IllegalArgumentException if a weight is not finite or too large for an fp16 scale
   */
  public static QuantizedMatrix quantize(float[] weight, int rows, int cols, Grid grid, Ops ops) {
    checkFinite(weight, cols);
    QuantizedMatrix matrix = QuantizedMatrix.empty(rows, cols);
    GroupFit[] fits = new GroupFit[ops.workers()];
    Arrays.setAll(fits, i -> new GroupFit(grid));
    ops.forEach(
        rows,
        (row, worker) -> {
          matrix.fitRow(fits[worker], weight, row * cols, row);
          round(weight, row, matrix);
        });
    return matrix;
  }

  private static void round(float[] weight, int row, QuantizedMatrix to) {
    int cols = to.cols();
    for (int j = 0; j < cols; j++) {
      int group = row * to.groups() + j / Grid.GROUP;
      int at = row * cols + j;
      to.codes()[at] = (byte) Grid.code(weight[at], to.scales()[group], to.zeros()[group]);
    }
  }

  /** Refuses NaN and infinities, naming the first. */
  static void checkFinite(float[] weight, int cols) {
    for (int i = 0; i < weight.length; i++) {
      if (!Float.isFinite(weight[i])) {
        throw new IllegalArgumentException(
            "it holds %s at output %d, input %d; expected finite numbers"
                .formatted(weight[i], i / cols, i % cols));
      }
    }
  }
}

package io.tercel.trainer.ptq;

import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.GroupFit;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.util.Arrays;

/**
 * AWQ's clip search: of each group of a row the share of max|w| beyond which weights are cut off,
 * so that the group's part of the output is least wrong on the inputs that were observed. Tried are
 * 1, 0.95, ... 0.55; the first of the best is kept.
 */
final class AwqClip {
  private static final int STEPS = 10;
  private static final int STEPS_OF_ONE = 20;

  private AwqClip() {}

  /**
   * Rounds a matrix on the grids of its clipped groups.
   *
   * @param weight [rows, cols], finite, multiplied by the factors already
   * @param factors of the inputs
   * @throws IllegalArgumentException if a weight is not finite or too large for an fp16 scale
   */
  static QuantizedMatrix quantize(
      float[] weight, int rows, InputMoments inputs, float[] factors, Grid grid, Ops ops) {
    int cols = factors.length;
    Rtn.checkFinite(weight, cols);
    QuantizedMatrix matrix = QuantizedMatrix.empty(rows, cols);
    Worker[] workers = new Worker[ops.workers()];
    Arrays.setAll(workers, i -> new Worker(matrix, grid));
    for (int g = 0; g < matrix.groups(); g++) {
      int group = g;
      float[][] products = inputs.products(group, factors);
      ops.forEach(rows, (row, worker) -> workers[worker].quantize(weight, row, group, products));
    }
    return matrix;
  }

  /** What one thread works with. */
  private static final class Worker {
    private final QuantizedMatrix matrix;
    private final GroupFit fit;
    private final float[] clipped = new float[Grid.GROUP];
    private final float[] error = new float[Grid.GROUP];
    private final float[] product = new float[Grid.GROUP];

    Worker(QuantizedMatrix matrix, Grid grid) {
      this.matrix = matrix;
      this.fit = new GroupFit(grid);
    }

    void quantize(float[] weight, int row, int group, float[][] products) {
      int from = row * matrix.cols() + group * Grid.GROUP;
      int count = products.length;
      float most = 0;
      for (int i = from; i < from + count; i++) {
        most = Math.max(most, Math.abs(weight[i]));
      }
      double least = Double.POSITIVE_INFINITY;
      for (int step = 0; step < STEPS; step++) {
        float bound = most * (1 - (float) step / STEPS_OF_ONE);
        for (int i = 0; i < count; i++) {
          clipped[i] = Math.clamp(weight[from + i], -bound, bound);
        }
        fit.fit(clipped, 0, count);
        double loss = loss(weight, from, count, products);
        if (loss < least) {
          least = loss;
          keep(row, group, from, count);
        }
      }
    }

    /** d^T X^T X d, d the rounded minus the whole weights. */
    private double loss(float[] weight, int from, int count, float[][] products) {
      for (int i = 0; i < count; i++) {
        int code = Grid.code(clipped[i], fit.scale(), fit.zero());
        error[i] = Grid.value(code, fit.scale(), fit.zero()) - weight[from + i];
      }
      Arrays.fill(product, 0, count, 0);
      Axpy.add(product, 0, count, error, count, products, 0);
      double loss = 0;
      for (int i = 0; i < count; i++) {
        loss += (double) error[i] * product[i];
      }
      return loss;
    }

    private void keep(int row, int group, int from, int count) {
      int at = row * matrix.groups() + group;
      matrix.scales()[at] = fit.scale();
      matrix.zeros()[at] = (byte) fit.zero();
      for (int i = 0; i < count; i++) {
        matrix.codes()[from + i] = (byte) Grid.code(clipped[i], fit.scale(), fit.zero());
      }
    }
  }
}

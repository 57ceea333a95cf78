package io.tercel.trainer.ptq;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.GroupFit;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.function.ToDoubleFunction;

/** AWQ's search for the ratio whose factors leave the least error. */
final class AwqSearch {
  private final Grid grid;
  private final Ops ops;

  /**
   * @param grid on which candidates are rounded, without a clip search
   */
  AwqSearch(Grid grid, Ops ops) {
    this.grid = grid;
    this.ops = ops;
  }

  /** The factors of the inputs, and the ratio that they come from. */
  @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
  record Scales(float[] factors, double ratio) {}

  /**
   * Tries all ratios; the first of the best is kept.
   *
   * @param strengths of the inputs
   * @param error of the output with these factors
   */
  static Scales best(double[] strengths, ToDoubleFunction<float[]> error) {
    Scales best = new Scales(AwqScales.of(strengths, 0), 0);
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i < AwqScales.RATIOS; i++) {
      double ratio = AwqScales.ratio(i);
      float[] factors = AwqScales.of(strengths, ratio);
      double found = error.applyAsDouble(factors);
      if (found < least) {
        least = found;
        best = new Scales(factors, ratio);
      }
    }
    return best;
  }

  /**
   * Room for what a matrix becomes under various factors.
   *
   * @param weight [rows, cols], finite
   */
  Candidate candidate(String name, float[] weight, int cols, Arena arena) {
    return new Candidate(name, weight, cols, arena);
  }

  /** A matrix that is multiplied by factors, rounded, and divided by them. */
  final class Candidate {
    private final float[] weight;
    private final int cols;
    private final PackedMatrix matrix;
    private final GroupFit[] fits = new GroupFit[ops.workers()];
    private final float[][] rows = new float[ops.workers()][];

    private Candidate(String name, float[] weight, int cols, Arena arena) {
      this.weight = weight;
      this.cols = cols;
      matrix = dense(name, weight, cols, arena);
      Arrays.setAll(fits, i -> new GroupFit(grid));
      Arrays.setAll(rows, i -> new float[cols]);
    }

    /** What it becomes, until the next call. */
    PackedMatrix under(float[] factors) {
      ops.forEach(matrix.rows(), (row, worker) -> round(row, factors, rows[worker], fits[worker]));
      return matrix;
    }

    private void round(int row, float[] factors, float[] scaled, GroupFit fit) {
      for (int j = 0; j < cols; j++) {
        scaled[j] = weight[row * cols + j] * factors[j];
      }
      for (int first = 0; first < cols; first += Grid.GROUP) {
        int count = Math.min(Grid.GROUP, cols - first);
        fit.fit(scaled, first, count);
        for (int j = first; j < first + count; j++) {
          int code = Grid.code(scaled[j], fit.scale(), fit.zero());
          float value = Grid.value(code, fit.scale(), fit.zero()) / factors[j];
          QuantFormat.Dense.FP32.store(matrix.segment(), (long) row * cols + j, value);
        }
      }
    }
  }

  /** A matrix of floats for the engine's linears. */
  static PackedMatrix dense(String name, float[] weight, int cols, Arena arena) {
    int rows = weight.length / cols;
    QuantFormat.Dense format = QuantFormat.Dense.FP32;
    PackedMatrix matrix =
        new PackedMatrix(
            name, arena.allocate(format.bytes(rows, cols), 64), rows, cols, format, null);
    for (int i = 0; i < weight.length; i++) {
      format.store(matrix.segment(), i, weight[i]);
    }
    return matrix;
  }
}

package io.tercel.trainer.ptq;

import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.GroupFit;
import io.tercel.trainer.quant.QuantizedMatrix;

/**
 * GPTQ: rounds a matrix column by column and moves each column's error into the columns that are
 * still to be rounded, as the inputs' correlations allow.
 *
 * <p>Rows don't depend on each other, so they are the parallel work; a tile of rows shares one pass
 * over U. An element takes its corrections one column after the other, whatever the block, so the
 * block size changes nothing but the speed.
 */
public final class Gptq {
  private static final int ROWS_PER_TILE = 16;

  /**
   * How it rounds.
   *
   * @param grid of the groups
   * @param staticGroups scales and zero points from the weights as they were; else from the weights
   *     as they are when a group's first column is reached. Needed where the factor has an order:
   *     groups then stay those of neighbouring inputs
   * @param block columns whose corrections are applied at once to all that follow; divides 128
   */
  public record Settings(Grid grid, boolean staticGroups, int block) {
    public Settings {
      if (block < 1 || Grid.GROUP % block != 0) {
        throw new IllegalArgumentException(
            "block: " + block + "; expected a divisor of the group size, " + Grid.GROUP);
      }
    }

    /** Blocks of 128 columns. */
    public Settings(Grid grid, boolean staticGroups) {
      this(grid, staticGroups, 128);
    }
  }

  /**
   * A rounded matrix and where its weights stood when they were rounded.
   *
   * @param latents [rows, cols] in natural order: rounding them on the matrix's own grid gives its
   *     codes exactly
   */
  @SuppressWarnings("ArrayRecordComponent")
  public record Result(QuantizedMatrix matrix, float[] latents) {}

  private final Settings settings;
  private final InverseFactor factor;
  private final QuantizedMatrix matrix;
  private final float[] latents;

  private Gptq(Settings settings, InverseFactor factor, int rows, float[] latents) {
    this.settings = settings;
    this.factor = factor;
    this.matrix = QuantizedMatrix.empty(rows, factor.cols());
    this.latents = latents;
  }

  /**
   * Quantizes a matrix.
   *
   * @param weight [rows, cols], finite; not changed
   * @throws IllegalArgumentException if a weight is not finite or too large for an fp16 scale
   */
  public static Result quantize(
      float[] weight, int rows, InverseFactor factor, Settings settings, Ops ops) {
    int cols = factor.cols();
    if (weight.length != Math.multiplyExact(rows, cols)) {
      throw new IllegalArgumentException(weight.length + " weights for " + rows + " x " + cols);
    }
    if (factor.order() != null && !settings.staticGroups()) {
      throw new IllegalArgumentException("act-order needs static groups");
    }
    Rtn.checkFinite(weight, cols);
    Gptq gptq = new Gptq(settings, factor, rows, weight.clone());
    ops.forEach(
        Math.ceilDiv(rows, ROWS_PER_TILE),
        (tile, worker) -> {
          int first = tile * ROWS_PER_TILE;
          gptq.quantizeRows(first, Math.min(rows, first + ROWS_PER_TILE));
        });
    return new Result(gptq.matrix, gptq.latents);
  }

  private void quantizeRows(int first, int last) {
    int cols = matrix.cols();
    GroupFit fit = new GroupFit(settings.grid());
    float[][] work = new float[last - first][cols];
    for (int row = first; row < last; row++) {
      for (int j = 0; j < cols; j++) {
        if (factor.dead(j)) {
          latents[row * cols + j] = 0;
        }
      }
      if (settings.staticGroups()) {
        matrix.fitRow(fit, latents, row * cols, row);
      }
      for (int j = 0; j < cols; j++) {
        work[row - first][j] = latents[row * cols + input(j)];
      }
    }
    float[] minusErrors = new float[settings.block()];
    for (int from = 0; from < cols; from += settings.block()) {
      int to = Math.min(cols, from + settings.block());
      for (int row = first; row < last; row++) {
        float[] w = work[row - first];
        quantizeBlock(row, from, to, w, minusErrors, fit);
        Axpy.add(w, to, cols, minusErrors, to - from, factor.u(), from);
      }
    }
  }

  /** The input that is column j of the factor. */
  private int input(int j) {
    int[] order = factor.order();
    return order == null ? j : order[j];
  }

  /** Rounds columns from..to-1 of one row, leaving minus their scaled errors. */
  private void quantizeBlock(
      int row, int from, int to, float[] work, float[] minusErrors, GroupFit fit) {
    int cols = matrix.cols();
    for (int j = from; j < to; j++) {
      if (!settings.staticGroups() && j % Grid.GROUP == 0) {
        matrix.fitGroup(fit, work, 0, row, j / Grid.GROUP);
      }
      int input = input(j);
      int group = row * matrix.groups() + input / Grid.GROUP;
      float scale = matrix.scales()[group];
      int zero = matrix.zeros()[group];
      float w = work[j];
      int code = Grid.code(w, scale, zero);
      matrix.codes()[row * cols + input] = (byte) code;
      latents[row * cols + input] = w;
      float[] u = factor.u()[j];
      minusErrors[j - from] = -(w - Grid.value(code, scale, zero)) / u[j];
      Axpy.one(work, j + 1, to, minusErrors[j - from], u);
    }
  }
}

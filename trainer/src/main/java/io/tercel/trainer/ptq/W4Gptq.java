package io.tercel.trainer.ptq;

import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.quant.W4Grid;
import io.tercel.trainer.quant.W4Matrix;

/**
 * GPTQ on the 4-bit grid of whole rows: as {@link Gptq}, but a row has one scale, fitted with a
 * clip search to the weights as they were.
 */
final class W4Gptq {
  private static final int ROWS_PER_TILE = 16;
  private static final int BLOCK = 128;

  /**
   * A rounded matrix and where its weights stood when they were rounded.
   *
   * @param latents [rows, cols]: rounding them by the matrix's own scales gives its codes exactly
   */
  @SuppressWarnings("ArrayRecordComponent")
  record Result(W4Matrix matrix, float[] latents) {}

  private final InverseFactor factor;
  private final W4Matrix matrix;
  private final float[] latents;

  private W4Gptq(InverseFactor factor, int rows, float[] latents) {
    this.factor = factor;
    this.latents = latents;
    this.matrix = new W4Matrix(rows, factor.cols(), new byte[latents.length], new float[rows]);
  }

  /**
   * Quantizes a matrix.
   *
   * @param weight [rows, cols], finite; not changed
   * @throws IllegalArgumentException if a weight is not finite or too large for an fp16 scale
   */
  static Result quantize(float[] weight, int rows, InverseFactor factor, Ops ops) {
    if (weight.length != Math.multiplyExact(rows, factor.cols())) {
      throw new IllegalArgumentException(
          weight.length + " weights for " + rows + " x " + factor.cols());
    }
    Rtn.checkFinite(weight, factor.cols());
    W4Gptq gptq = new W4Gptq(factor, rows, weight.clone());
    ops.forEach(
        Math.ceilDiv(rows, ROWS_PER_TILE),
        (tile, _) -> {
          int first = tile * ROWS_PER_TILE;
          gptq.quantizeRows(first, Math.min(rows, first + ROWS_PER_TILE));
        });
    return new Result(gptq.matrix, gptq.latents);
  }

  private void quantizeRows(int first, int last) {
    int cols = matrix.cols();
    float[][] work = new float[last - first][cols];
    for (int row = first; row < last; row++) {
      for (int j = 0; j < cols; j++) {
        if (factor.dead(j)) {
          latents[row * cols + j] = 0;
        }
      }
      matrix.scales()[row] = W4Fit.scale(latents, row * cols, cols);
      for (int j = 0; j < cols; j++) {
        work[row - first][j] = latents[row * cols + input(j)];
      }
    }
    float[] minusErrors = new float[BLOCK];
    for (int from = 0; from < cols; from += BLOCK) {
      int to = Math.min(cols, from + BLOCK);
      for (int row = first; row < last; row++) {
        float[] w = work[row - first];
        quantizeBlock(row, from, to, w, minusErrors);
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
  private void quantizeBlock(int row, int from, int to, float[] work, float[] minusErrors) {
    int cols = matrix.cols();
    float scale = matrix.scales()[row];
    for (int j = from; j < to; j++) {
      float w = work[j];
      int code = W4Grid.code(w, scale);
      matrix.codes()[row * cols + input(j)] = (byte) code;
      latents[row * cols + input(j)] = w;
      float[] u = factor.u()[j];
      minusErrors[j - from] = -(w - scale * code) / u[j];
      Axpy.one(work, j + 1, to, minusErrors[j - from], u);
    }
  }
}

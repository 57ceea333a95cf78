package io.tercel.kernels.vector;

import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.EightSum;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The inputs of one linear layer for all tokens of a step, in the order in which a kernel reads
 * them. One thread prepares, then any number of workers read. Buffers are reused and grow only when
 * a larger batch or a wider layer comes.
 */
public final class Activations {
  /** Columns that two vectors of 16-bit weights hold. */
  static final int PAIRED_BLOCK = 2 * Lanes.VIRTUAL;

  private float[] values = new float[0];
  private float[] sums = new float[0];
  private int tokens;
  private int cols;
  private int stride;
  private int groups;

  /**
   * For {@link W3Gemv} and {@link W3Gemm}: natural (or act-order) column order, zero-padded to
   * whole groups of 128, and the sum of each group.
   *
   * @param x [tokens][cols], rows {@code xStride} apart, from {@code xOffset} on
   * @param inputOrder packed column j reads x[inputOrder[j]]; null for the natural order
   */
  public void prepareGrouped(
      float[] x, int xOffset, int xStride, int tokens, int cols, int @Nullable [] inputOrder) {
    groups = W3Block.groups(cols);
    shape(tokens, cols, groups * W3Block.GROUP);
    if (sums.length < tokens * groups) {
      sums = new float[tokens * groups];
    }
    for (int t = 0; t < tokens; t++) {
      int from = xOffset + t * xStride;
      int to = t * stride;
      if (inputOrder == null) {
        System.arraycopy(x, from, values, to, cols);
      } else {
        for (int j = 0; j < cols; j++) {
          values[to + j] = x[from + inputOrder[j]];
        }
      }
      Arrays.fill(values, to + cols, to + stride, 0);
      for (int g = 0; g < groups; g++) {
        sums[t * groups + g] = EightSum.of(values, to + g * W3Block.GROUP, W3Block.GROUP);
      }
    }
  }

  /**
   * For dense 16-bit weights: whole blocks of 32 columns are split into 16 even ones, then 16 odd
   * ones, because a 32-bit lane holds an even column below an odd one. The columns after the last
   * whole block stay as they are.
   */
  public void preparePaired(float[] x, int xOffset, int xStride, int tokens, int cols) {
    shape(tokens, cols, cols);
    int whole = cols / PAIRED_BLOCK * PAIRED_BLOCK;
    for (int t = 0; t < tokens; t++) {
      int from = xOffset + t * xStride;
      int to = t * stride;
      for (int b = 0; b < whole; b += PAIRED_BLOCK) {
        for (int i = 0; i < Lanes.VIRTUAL; i++) {
          values[to + b + i] = x[from + b + 2 * i];
          values[to + b + Lanes.VIRTUAL + i] = x[from + b + 2 * i + 1];
        }
      }
      System.arraycopy(x, from + whole, values, to + whole, cols - whole);
    }
  }

  /** For dense FP32 weights: the columns as they are. */
  public void prepareNatural(float[] x, int xOffset, int xStride, int tokens, int cols) {
    shape(tokens, cols, cols);
    for (int t = 0; t < tokens; t++) {
      System.arraycopy(x, xOffset + t * xStride, values, t * stride, cols);
    }
  }

  /** Tokens prepared. */
  public int tokens() {
    return tokens;
  }

  /** Inputs of the layer, padding not counted. */
  public int cols() {
    return cols;
  }

  /** Groups of 128 per token; only after {@link #prepareGrouped}. */
  int groups() {
    return groups;
  }

  /** [tokens][stride], padded and ordered. */
  float[] values() {
    return values;
  }

  /** Floats from one token's values to the next one's. */
  int stride() {
    return stride;
  }

  /** [tokens][groups]. */
  float[] sums() {
    return sums;
  }

  private void shape(int tokens, int cols, int stride) {
    this.tokens = tokens;
    this.cols = cols;
    this.stride = stride;
    if (values.length < tokens * stride) {
      values = new float[tokens * stride];
    }
  }
}

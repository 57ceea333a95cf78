package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Products of rows with the matrices of {@code InputTransform}, a Kronecker product's two factors:
 * each output is one chain of fused multiply-adds from 0, terms ascending.
 */
final class TransformKernels {
  /** Work items of a group. */
  static final int LOCAL = 64;

  private TransformKernels() {}

  /** Floats of a row that a work group of {@link #left} holds. */
  static final int TILE = 2048;

  /** Values that an item reads before it stores the first, so that it waits for memory once. */
  private static final int AHEAD = 8;

  /** Columns of a tile, at most. */
  private static final int MOST = 8;

  /** Columns of the tile of a left factor of so many rows. */
  static int width(int size) {
    return Math.max(1, Math.min(MOST, TILE / size));
  }

  /**
   * The left factor: a row is read as [size][inner], and y[e][j] = sum over i of x[i][j]
   * matrix[i][e]. The grid is [inner / width][tokens], a work group each, which makes its columns
   * of x first: see {@link Source}.
   *
   * @param p holds the matrix, [size][size], from {@code matrixAt} on
   * @param width columns of a work group: {@link #width}
   */
  public static void left(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int source,
      int matrixAt,
      int size,
      int inner,
      int width,
      int xStride,
      int at,
      int more,
      int headDim,
      float eps) {
    int l = c.localIdx;
    int token = c.groupIdy;
    int n = step.get(StepLayout.N);
    int row = token;
    int from =
        source == SourceArithmetic.NORMED && more >= 0 ? step.get(Math.max(more, 0) + row) : row;
    int cols = size * inner;
    float[] tile = c.allocateFloatLocalArray(2048);
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] ahead = new float[8];
    float scale = 1f;
    if (source == SourceArithmetic.NORMED) {
      float acc = 0f;
      for (int first = 0; first < cols; first += TILE) {
        int count = Math.min(TILE, cols - first);
        for (int start = l; start < count; start += AHEAD * LOCAL) {
          for (int j = 0; j < AHEAD; j++) {
            ahead[j] = x.get(from * xStride + first + Math.min(start + j * LOCAL, count - 1));
          }
          for (int j = 0; j < AHEAD; j++) {
            int k = start + j * LOCAL;
            if (k < count) {
              tile[k] = ahead[j];
            }
          }
        }
        c.localBarrier();
        if (l < 16) {
          for (int k = l; k < count; k += 16) {
            acc = tile[k] * tile[k] + acc;
          }
          lanes[l] = acc;
        }
        c.localBarrier();
      }
      float sum =
          Arithmetic.tree(
              lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5], lanes[6], lanes[7],
              lanes[8], lanes[9], lanes[10], lanes[11], lanes[12], lanes[13], lanes[14], lanes[15]);
      scale = Arithmetic.normScale(sum, cols, eps);
    }
    int column = c.groupIdx * width;
    for (int i = l; i < size * width; i += LOCAL) {
      int outer = i / width;
      int j = Math.min(column + i - outer * width, inner - 1);
      tile[i] =
          SourceArithmetic.value(
              source,
              step,
              powers,
              p,
              x,
              row,
              from,
              outer * inner + j,
              xStride,
              at,
              more,
              headDim,
              scale);
    }
    c.localBarrier();
    if (token < n) {
      for (int i = l; i < size * width; i += LOCAL) {
        int e = i / width;
        int j = i - e * width;
        if (column + j < inner) {
          float acc = 0f;
          for (int o = 0; o < size; o++) {
            acc = tile[o * width + j] * p.get(matrixAt + o * size + e) + acc;
          }
          y.set(token * cols + e * inner + column + j, acc);
        }
      }
    }
  }

  /**
   * The right factor: a row is read as [cols / size][size], and y[o][e] = sum over i of x[o][i]
   * matrix[i][e]. The grid is [work groups of a row][tokens].
   *
   * @param p holds the matrix, [size][size], from {@code matrixAt} on
   */
  public static void right(
      KernelContext c,
      IntArray step,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int matrixAt,
      int size,
      int cols,
      int xStride) {
    int k = c.globalIdx;
    int token = c.groupIdy;
    if (k < cols) {
      int e = k - k / size * size;
      int from = token * xStride + k - e;
      float acc = 0f;
      for (int i = 0; i < size; i++) {
        acc = x.get(from + i) * p.get(matrixAt + i * size + e) + acc;
      }
      if (token < step.get(StepLayout.N)) {
        y.set(token * cols + k, acc);
      }
    }
  }
}

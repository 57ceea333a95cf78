package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Products of rows with the matrices of {@code InputTransform} and {@code KvTransform}: each output
 * is one chain of fused multiply-adds from 0, terms ascending.
 */
final class TransformKernels {
  /** Work items of a group. */
  static final int LOCAL = 64;

  private TransformKernels() {}

  /**
   * One factor of a Kronecker product: a row is read as [cols / (size inner)][size][inner], and
   * y[o][e][j] = sum over i of x[o][i][j] matrix[i][e]. Inner is the size of the right factor for
   * the left one, and 1 for the right one. The grid is [work groups of a row][tokens].
   *
   * @param p holds the matrix, [size][size], from {@code matrixAt} on
   */
  public static void product(
      KernelContext c,
      IntArray step,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int matrixAt,
      int size,
      int inner,
      int cols,
      int xStride,
      int yStride) {
    int k = c.globalIdx;
    int token = c.groupIdy;
    if (k < cols && token < step.get(StepLayout.N)) {
      int outer = k / inner;
      int e = outer - outer / size * size;
      int from = token * xStride + k - e * inner;
      float acc = 0f;
      for (int i = 0; i < size; i++) {
        acc = x.get(from + i * inner) * p.get(matrixAt + i * size + e) + acc;
      }
      y.set(token * yStride + k, acc);
    }
  }

  /**
   * Heads of q and of k times a matrix each, in place. The grid is [heads + kvHeads][tokens], a
   * work group each.
   *
   * @param p holds the matrices, [headDim][headDim], from {@code queryAt} and {@code keyAt} on
   * @param x [tokens][xStride]: q from 0, k from kAt
   */
  public static void heads(
      KernelContext c,
      IntArray step,
      FloatArray p,
      FloatArray x,
      int heads,
      int headDim,
      int xStride,
      int kAt,
      int queryAt,
      int keyAt) {
    int l = c.localIdx;
    int head = c.groupIdx;
    int token = c.groupIdy;
    int n = step.get(StepLayout.N);
    int row = Math.max(Math.min(token, n - 1), 0);
    int inRow = head < heads ? head * headDim : kAt + (head - heads) * headDim;
    int at = row * xStride + inRow;
    int matrixAt = head < heads ? queryAt : keyAt;
    float[] before = c.allocateFloatLocalArray(256);
    for (int d = l; d < headDim; d += LOCAL) {
      before[d] = x.get(at + d);
    }
    c.localBarrier();
    if (token < n) {
      for (int e = l; e < headDim; e += LOCAL) {
        float acc = 0f;
        for (int d = 0; d < headDim; d++) {
          acc = before[d] * p.get(matrixAt + d * headDim + e) + acc;
        }
        x.set(at + e, acc);
      }
    }
  }
}

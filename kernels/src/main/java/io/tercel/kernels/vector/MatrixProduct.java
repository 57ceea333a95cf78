package io.tercel.kernels.vector;

import jdk.incubator.vector.FloatVector;

/**
 * out = A B for small matrices of floats; each element is one ascending chain of fma from 0, lanes
 * are neighbouring columns of B. Four rows of A share what is loaded of B.
 */
final class MatrixProduct {
  private static final int ROWS = 4;

  private MatrixProduct() {}

  /**
   * out[i][j] = sum over k of A[i][k] B[k][j].
   *
   * @param a A[i][k] is {@code a[aAt + i * rowStride + k * stride]}
   * @param b row-major from {@code bAt} on
   * @param out row-major from {@code outAt} on; neither a nor b
   */
  static void multiply(
      float[] a,
      int aAt,
      int rowStride,
      int stride,
      float[] b,
      int bAt,
      int rows,
      int inner,
      int cols,
      float[] out,
      int outAt) {
    int i = 0;
    for (; i + ROWS <= rows; i += ROWS) {
      four(a, aAt + i * rowStride, rowStride, stride, b, bAt, inner, cols, out, outAt + i * cols);
    }
    for (; i < rows; i++) {
      one(a, aAt + i * rowStride, stride, b, bAt, inner, cols, out, outAt + i * cols);
    }
  }

  private static void four(
      float[] a,
      int aAt,
      int rowStride,
      int stride,
      float[] b,
      int bAt,
      int inner,
      int cols,
      float[] out,
      int outAt) {
    int whole = cols - cols % Lanes.COUNT;
    for (int j = 0; j < whole; j += Lanes.COUNT) {
      FloatVector y0 = FloatVector.zero(Lanes.FLOAT);
      FloatVector y1 = FloatVector.zero(Lanes.FLOAT);
      FloatVector y2 = FloatVector.zero(Lanes.FLOAT);
      FloatVector y3 = FloatVector.zero(Lanes.FLOAT);
      for (int k = 0; k < inner; k++) {
        final int at = aAt + k * stride;
        FloatVector v = Lanes.load(b, bAt + k * cols + j);
        y0 = v.fma(FloatVector.broadcast(Lanes.FLOAT, a[at]), y0);
        y1 = v.fma(FloatVector.broadcast(Lanes.FLOAT, a[at + rowStride]), y1);
        y2 = v.fma(FloatVector.broadcast(Lanes.FLOAT, a[at + 2 * rowStride]), y2);
        y3 = v.fma(FloatVector.broadcast(Lanes.FLOAT, a[at + 3 * rowStride]), y3);
      }
      y0.intoArray(out, outAt + j);
      y1.intoArray(out, outAt + cols + j);
      y2.intoArray(out, outAt + 2 * cols + j);
      y3.intoArray(out, outAt + 3 * cols + j);
    }
    for (int row = 0; row < ROWS && whole < cols; row++) {
      rest(a, aAt + row * rowStride, stride, b, bAt, inner, whole, cols, out, outAt + row * cols);
    }
  }

  private static void one(
      float[] a,
      int aAt,
      int stride,
      float[] b,
      int bAt,
      int inner,
      int cols,
      float[] out,
      int outAt) {
    int whole = cols - cols % Lanes.COUNT;
    for (int j = 0; j < whole; j += Lanes.COUNT) {
      FloatVector y = FloatVector.zero(Lanes.FLOAT);
      for (int k = 0; k < inner; k++) {
        FloatVector v = Lanes.load(b, bAt + k * cols + j);
        y = v.fma(FloatVector.broadcast(Lanes.FLOAT, a[aAt + k * stride]), y);
      }
      y.intoArray(out, outAt + j);
    }
    rest(a, aAt, stride, b, bAt, inner, whole, cols, out, outAt);
  }

  /** Columns [from, cols) of a row, fewer than there are lanes. */
  private static void rest(
      float[] a,
      int aAt,
      int stride,
      float[] b,
      int bAt,
      int inner,
      int from,
      int cols,
      float[] out,
      int outAt) {
    for (int j = from; j < cols; j++) {
      float y = 0;
      for (int k = 0; k < inner; k++) {
        y = Math.fma(a[aAt + k * stride], b[bAt + k * cols + j], y);
      }
      out[outAt + j] = y;
    }
  }
}

package io.tercel.trainer.ptq;

/**
 * y += c[0] x[0] + c[1] x[1] + ..., rows of a matrix added to a row: the inner loop of everything
 * here. Each element takes the rows one after the other by fma, so the result does not depend on
 * how the rows are cut into calls. Plain loops that the compiler turns into vectors.
 */
final class Axpy {
  private Axpy() {}

  /**
   * Adds {@code rows} rows of x, each times its coefficient.
   *
   * @param y receives {@code count} sums from {@code yAt} on; another array than x
   * @param c coefficients from {@code cAt} on
   * @param x row m begins at {@code xAt + m * stride}
   */
  static void add(
      float[] y, int yAt, int count, float[] c, int cAt, int rows, float[] x, int xAt, int stride) {
    int m = 0;
    for (; m + 8 <= rows; m += 8) {
      eight(y, yAt, count, c, cAt + m, x, xAt + m * stride, stride);
    }
    for (; m < rows; m++) {
      one(y, yAt, count, c[cAt + m], x, xAt + m * stride);
    }
  }

  private static void one(float[] y, int yAt, int count, float c, float[] x, int xAt) {
    for (int k = 0; k < count; k++) {
      y[yAt + k] = Math.fma(c, x[xAt + k], y[yAt + k]);
    }
  }

  private static void eight(
      float[] y, int yAt, int count, float[] c, int cAt, float[] x, int x0, int stride) {
    float c0 = c[cAt];
    float c1 = c[cAt + 1];
    float c2 = c[cAt + 2];
    float c3 = c[cAt + 3];
    float c4 = c[cAt + 4];
    float c5 = c[cAt + 5];
    float c6 = c[cAt + 6];
    float c7 = c[cAt + 7];
    int x1 = x0 + stride;
    int x2 = x1 + stride;
    int x3 = x2 + stride;
    int x4 = x3 + stride;
    int x5 = x4 + stride;
    int x6 = x5 + stride;
    int x7 = x6 + stride;
    for (int k = 0; k < count; k++) {
      float sum = Math.fma(c0, x[x0 + k], y[yAt + k]);
      sum = Math.fma(c1, x[x1 + k], sum);
      sum = Math.fma(c2, x[x2 + k], sum);
      sum = Math.fma(c3, x[x3 + k], sum);
      sum = Math.fma(c4, x[x4 + k], sum);
      sum = Math.fma(c5, x[x5 + k], sum);
      sum = Math.fma(c6, x[x6 + k], sum);
      y[yAt + k] = Math.fma(c7, x[x7 + k], sum);
    }
  }

  /** The same in doubles. */
  static void add(
      double[] y,
      int yAt,
      int count,
      double[] c,
      int cAt,
      int rows,
      double[] x,
      int xAt,
      int stride) {
    int m = 0;
    for (; m + 4 <= rows; m += 4) {
      four(y, yAt, count, c, cAt + m, x, xAt + m * stride, stride);
    }
    for (; m < rows; m++) {
      one(y, yAt, count, c[cAt + m], x, xAt + m * stride);
    }
  }

  private static void one(double[] y, int yAt, int count, double c, double[] x, int xAt) {
    for (int k = 0; k < count; k++) {
      y[yAt + k] = Math.fma(c, x[xAt + k], y[yAt + k]);
    }
  }

  private static void four(
      double[] y, int yAt, int count, double[] c, int cAt, double[] x, int x0, int stride) {
    double c0 = c[cAt];
    double c1 = c[cAt + 1];
    double c2 = c[cAt + 2];
    double c3 = c[cAt + 3];
    int x1 = x0 + stride;
    int x2 = x1 + stride;
    int x3 = x2 + stride;
    for (int k = 0; k < count; k++) {
      double sum = Math.fma(c0, x[x0 + k], y[yAt + k]);
      sum = Math.fma(c1, x[x1 + k], sum);
      sum = Math.fma(c2, x[x2 + k], sum);
      y[yAt + k] = Math.fma(c3, x[x3 + k], sum);
    }
  }
}

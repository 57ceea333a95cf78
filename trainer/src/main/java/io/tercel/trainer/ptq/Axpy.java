package io.tercel.trainer.ptq;

/**
 * y += c[0] x[0] + c[1] x[1] + ..., rows of a matrix added to a row: the inner loop of everything
 * here. Each element takes the rows one after the other by fma, so the result does not depend on
 * how the rows are cut into calls.
 *
 * <p>Plain loops that the compiler turns into vectors, if every array is indexed by the same k
 * (with offsets of their own: 12 instead of 20 thousand million fma a second and core) and the body
 * is small (four rows a pass: 30; eight: 4, for C2 does not unroll it far enough).
 */
final class Axpy {
  private Axpy() {}

  /**
   * Adds rows first, first + 1, ... of x, each times its coefficient, to columns from..to-1 of y.
   *
   * @param c one coefficient a row, from index 0 on
   */
  static void add(float[] y, int from, int to, float[] c, int rows, float[][] x, int first) {
    int m = 0;
    for (; m + 4 <= rows; m += 4) {
      four(y, from, to, c, m, x, first + m);
    }
    for (; m < rows; m++) {
      one(y, from, to, c[m], x[first + m]);
    }
  }

  static void one(float[] y, int from, int to, float c, float[] x) {
    for (int k = from; k < to; k++) {
      y[k] = Math.fma(c, x[k], y[k]);
    }
  }

  private static void four(float[] y, int from, int to, float[] c, int m, float[][] x, int first) {
    float c0 = c[m];
    float c1 = c[m + 1];
    float c2 = c[m + 2];
    float c3 = c[m + 3];
    float[] x0 = x[first];
    float[] x1 = x[first + 1];
    float[] x2 = x[first + 2];
    float[] x3 = x[first + 3];
    for (int k = from; k < to; k++) {
      float sum = Math.fma(c0, x0[k], y[k]);
      sum = Math.fma(c1, x1[k], sum);
      sum = Math.fma(c2, x2[k], sum);
      y[k] = Math.fma(c3, x3[k], sum);
    }
  }

  /** The same in doubles. */
  static void add(double[] y, int from, int to, double[] c, int rows, double[][] x, int first) {
    int m = 0;
    for (; m + 4 <= rows; m += 4) {
      four(y, from, to, c, m, x, first + m);
    }
    for (; m < rows; m++) {
      one(y, from, to, c[m], x[first + m]);
    }
  }

  static void one(double[] y, int from, int to, double c, double[] x) {
    for (int k = from; k < to; k++) {
      y[k] = Math.fma(c, x[k], y[k]);
    }
  }

  private static void four(
      double[] y, int from, int to, double[] c, int m, double[][] x, int first) {
    double c0 = c[m];
    double c1 = c[m + 1];
    double c2 = c[m + 2];
    double c3 = c[m + 3];
    double[] x0 = x[first];
    double[] x1 = x[first + 1];
    double[] x2 = x[first + 2];
    double[] x3 = x[first + 3];
    for (int k = from; k < to; k++) {
      double sum = Math.fma(c0, x0[k], y[k]);
      sum = Math.fma(c1, x1[k], sum);
      sum = Math.fma(c2, x2[k], sum);
      y[k] = Math.fma(c3, x3[k], sum);
    }
  }
}

package io.tercel.kernels.ops;

/**
 * The sum that zero points are multiplied with: of a group's activations, of a query. Eight partial
 * sums in double, since it stands against a difference of large numbers; added as a tree and
 * rounded once.
 */
public final class EightSum {
  private EightSum() {}

  /**
   * Sums count floats from {@code at} on: partial sum j takes elements j, j + 8, ...
   *
   * @param count a multiple of 8
   */
  public static float of(float[] x, int at, int count) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    double s4 = 0;
    double s5 = 0;
    double s6 = 0;
    double s7 = 0;
    for (int k = at; k < at + count; k += 8) {
      s0 += x[k];
      s1 += x[k + 1];
      s2 += x[k + 2];
      s3 += x[k + 3];
      s4 += x[k + 4];
      s5 += x[k + 5];
      s6 += x[k + 6];
      s7 += x[k + 7];
    }
    return (float) (((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)));
  }
}

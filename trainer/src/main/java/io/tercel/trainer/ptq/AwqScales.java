package io.tercel.trainer.ptq;

/**
 * AWQ's factors: an input that is strong on average is multiplied into the weights before they are
 * rounded, so that its weights lose less, and divided out of what makes the input.
 */
final class AwqScales {
  /** Shares of the strength that are tried: 0, 0.05, ... 0.95. */
  static final int RATIOS = 20;

  private static final double LEAST = 1e-4;

  private AwqScales() {}

  /** Ratio i. */
  static double ratio(int i) {
    return (double) i / RATIOS;
  }

  /**
   * s = a^r, at least 1e-4, divided by sqrt(max s * min s); all 1 for r = 0.
   *
   * @param strengths mean |x| of each input, a
   */
  static float[] of(double[] strengths, double ratio) {
    double[] s = new double[strengths.length];
    double least = Double.POSITIVE_INFINITY;
    double most = 0;
    for (int j = 0; j < s.length; j++) {
      s[j] = Math.max(Math.pow(strengths[j], ratio), LEAST);
      least = Math.min(least, s[j]);
      most = Math.max(most, s[j]);
    }
    float[] scales = new float[s.length];
    double middle = Math.sqrt(most * least);
    for (int j = 0; j < s.length; j++) {
      scales[j] = (float) (s[j] / middle);
    }
    return scales;
  }
}

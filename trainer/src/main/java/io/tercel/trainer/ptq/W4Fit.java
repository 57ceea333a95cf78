package io.tercel.trainer.ptq;

import io.tercel.trainer.quant.W4Grid;

/**
 * Fits the scale of a row of 4-bit weights: s = p max|w| / 7 with the p = 1 - i/100, i = 0..79,
 * that leaves the least sum of |w^ - w|^2.4, the first of equals. The power is read from a table,
 * off by less than 1e-6 of a step's, and each sum is given up once it exceeds the best.
 */
final class W4Fit {
  private static final int STEPS = 80;
  private static final double POWER = 2.4;
  private static final int PER_UNIT = 1024;

  /** (i / 1024)^2.4, for errors up to 32 steps: code 7 stands for a fifth of the range or more. */
  private static final float[] POWERS = powers();

  private W4Fit() {}

  private static float[] powers() {
    float[] table = new float[32 * PER_UNIT + 2];
    for (int i = 0; i < table.length; i++) {
      table[i] = (float) Math.pow((double) i / PER_UNIT, POWER);
    }
    return table;
  }

  /** The largest |w| of a row. */
  static float magnitude(float[] w, int from, int count) {
    float largest = 0;
    for (int i = from; i < from + count; i++) {
      largest = Math.max(largest, Math.abs(w[i]));
    }
    return largest;
  }

  /** The best scale of the weights from {@code from} on; an fp16 value. */
  static float scale(float[] w, int from, int count) {
    float magnitude = magnitude(w, from, count);
    float best = W4Grid.scale(magnitude);
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i < STEPS; i++) {
      float scale = W4Grid.scale((1 - i / 100f) * magnitude);
      double unit = Math.pow(scale, POWER);
      double sum = unit * error(w, from, count, 1 / scale, least / unit);
      if (sum < least) {
        least = sum;
        best = scale;
      }
    }
    return best;
  }

  /** The sum of |w^ - w|^2.4 in steps; infinite once it exceeds the limit. */
  private static double error(float[] w, int from, int count, float inverse, double limit) {
    double sum = 0;
    for (int at = from; at < from + count; at += 32) {
      float part = 0;
      for (int i = at; i < Math.min(at + 32, from + count); i++) {
        part += power(w[i] * inverse);
      }
      sum += part;
      if (sum > limit) {
        return Double.POSITIVE_INFINITY;
      }
    }
    return sum;
  }

  /** |x^ - x|^2.4, x in steps. */
  private static float power(float x) {
    // adding 1.5 * 2^23 leaves no bits behind the point; comparisons, since Math.min costs thrice
    float rounded = (x + 12582912f) - 12582912f;
    rounded = rounded < W4Grid.MAX_CODE ? rounded : W4Grid.MAX_CODE;
    rounded = rounded > W4Grid.MIN_CODE ? rounded : W4Grid.MIN_CODE;
    float t = Math.min(Math.abs(x - rounded) * PER_UNIT, POWERS.length - 2);
    int i = (int) t;
    float below = POWERS[i];
    return below + (t - i) * (POWERS[i + 1] - below);
  }
}

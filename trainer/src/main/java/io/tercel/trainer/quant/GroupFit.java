package io.tercel.trainer.quant;

/**
 * Chooses scale and zero point of one group at a time, and keeps the last choice. One instance
 * serves one thread.
 *
 * <p>The clip search tries p = 1 - i/100, i = 0..79, on both ends of the range and keeps the first
 * p with the least sum of |w^ - w|^2.4. A power per weight and p would take minutes for each
 * hundred million weights, so the sums are first estimated from a table (off by less than {@link
 * #MARGIN}), each given up once it exceeds the best; then only those within the margin of the best
 * are summed exactly. The choice is that of the plain search.
 */
public final class GroupFit {
  /** Shares of the range that are tried. */
  public static final int STEPS = 80;

  /** The norm of the error. */
  public static final double POWER = 2.4;

  private static final double MARGIN = 5e-5;
  private static final int PER_UNIT = 1024;
  private static final float[] POWERS = powers();

  private final Grid grid;
  private final double[] estimates = new double[STEPS];
  private final float[] scales = new float[STEPS];
  private final int[] zeros = new int[STEPS];
  private float scale;
  private int zero;

  public GroupFit(Grid grid) {
    this.grid = grid;
  }

  /** (i / 1024)^2.4, up to errors of sixteen steps of the grid. */
  private static float[] powers() {
    float[] table = new float[16 * PER_UNIT + 2];
    for (int i = 0; i < table.length; i++) {
      table[i] = (float) Math.pow((double) i / PER_UNIT, POWER);
    }
    return table;
  }

  /** Of the group fitted last; an fp16 value above 0. */
  public float scale() {
    return scale;
  }

  /** Of the group fitted last. */
  public int zero() {
    return zero;
  }

  /**
   * Fits the weights from {@code from} on.
   *
   * @throws IllegalArgumentException if they are so large that no fp16 scale can hold them
   */
  public void fit(float[] w, int from, int count) {
    float min = 0;
    float max = 0;
    for (int i = from; i < from + count; i++) {
      min = Math.min(min, w[i]);
      max = Math.max(max, w[i]);
    }
    if (min == 0 && max == 0) {
      min = -1;
      max = 1;
    }
    choose(min, max);
    if (!Float.isFinite(scale)) {
      throw new IllegalArgumentException(
          "weights from %s to %s exceed what an fp16 scale can hold".formatted(min, max));
    }
    if (grid.clip()) {
      search(w, from, count, min, max);
    }
  }

  private void choose(float min, float max) {
    if (grid.symmetric()) {
      scale = Grid.half(Math.max(Math.max(-min, max), 1e-5f) / 3);
      zero = Grid.SYMMETRIC_ZERO;
      return;
    }
    scale = Grid.half(Math.max(max - min, 1e-5f) / Grid.MAX_CODE);
    zero = (int) Math.clamp(Math.rint(-min / scale), 0, Grid.MAX_CODE);
    if (zero < grid.minZero()) {
      // one step of the grid is given up below zero, so that six remain above
      zero = grid.minZero();
      scale = Grid.half(Math.max(max, 1e-5f) / (Grid.MAX_CODE - zero));
    }
  }

  private void search(float[] w, int from, int count, float min, float max) {
    double best = Double.POSITIVE_INFINITY;
    for (int i = 0; i < STEPS; i++) {
      float p = 1 - i / 100f;
      choose(p * min, p * max);
      scales[i] = scale;
      zeros[i] = zero;
      double unit = Math.pow(scale, POWER);
      estimates[i] = estimate(w, from, count, scale, zero, unit, best * (1 + MARGIN));
      best = Math.min(best, estimates[i]);
    }
    int chosen = -1;
    double least = Double.NaN; // of the chosen one, summed only once it has a rival
    for (int i = 0; i < STEPS; i++) {
      if (estimates[i] > best * (1 + MARGIN)) {
        continue;
      }
      if (chosen < 0) {
        chosen = i;
      } else if (scales[i] != scales[chosen] || zeros[i] != zeros[chosen]) {
        if (Double.isNaN(least)) {
          least = error(w, from, count, scales[chosen], zeros[chosen]);
        }
        double sum = error(w, from, count, scales[i], zeros[i]);
        if (sum < least) {
          least = sum;
          chosen = i;
        }
      }
    }
    scale = scales[chosen];
    zero = zeros[chosen];
  }

  /** The sum of |w^ - w|^2.4, as the definition has it. */
  public static double error(float[] w, int from, int count, float scale, int zero) {
    double sum = 0;
    for (int i = from; i < from + count; i++) {
      float rounded = Grid.value(Grid.code(w[i], scale, zero), scale, zero);
      sum += Math.pow(Math.abs(rounded - w[i]), POWER);
    }
    return sum;
  }

  /** About the same; infinite once it exceeds the limit. */
  private static double estimate(
      float[] w, int from, int count, float scale, int zero, double unit, double limit) {
    double enough = limit / unit;
    float inverse = 1 / scale;
    float low = -zero;
    float high = Grid.MAX_CODE - zero;
    double sum = 0;
    for (int at = from; at < from + count; at += 32) {
      int end = Math.min(at + 32, from + count);
      float even = 0;
      float odd = 0;
      int i = at;
      for (; i + 1 < end; i += 2) {
        even += power(w[i] * inverse, low, high);
        odd += power(w[i + 1] * inverse, low, high);
      }
      sum += i < end ? even + odd + power(w[i] * inverse, low, high) : even + odd;
      if (sum > enough) {
        return Double.POSITIVE_INFINITY;
      }
    }
    return sum * unit;
  }

  /** |x^ - x|^2.4, x in steps of the grid. */
  private static float power(float x, float low, float high) {
    // adding 1.5 * 2^23 leaves no bits behind the point; comparisons, since Math.min costs thrice
    float rounded = (x + 12582912f) - 12582912f;
    rounded = rounded < high ? rounded : high;
    rounded = rounded > low ? rounded : low;
    float t = Math.abs(x - rounded) * PER_UNIT;
    int i = (int) t;
    if (i >= POWERS.length - 1) {
      return (float) Math.pow(t / PER_UNIT, POWER);
    }
    float below = POWERS[i];
    return below + (t - i) * (POWERS[i + 1] - below);
  }
}

package io.tercel.loadtests.compare;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.ToDoubleBiFunction;

/**
 * Intervals of ratios by the circular moving-block bootstrap (Politis and Romano, 1992): blocks of
 * neighbouring units are drawn, about ∛n long, because requests that are served together are slow
 * together; drawn one by one, intervals would be far too narrow. The same input gives the same
 * intervals.
 */
final class Bootstrap {
  private static final long SEED = 20_240_613;

  /** Values that are gone through at most; large samples are resampled less often. */
  private static final long WORK = 400_000_000;

  private static final int LEAST = 200;

  private final int resamples;
  private final double confidence;

  /**
   * With so many resamples.
   *
   * @param confidence of an interval, such as 0.95
   */
  Bootstrap(int resamples, double confidence) {
    this.resamples = resamples;
    this.confidence = confidence;
  }

  /** From, to. */
  record Interval(double from, double to) {
    boolean contains(double value) {
      return from <= value && value <= to;
    }
  }

  /** Where the ratio of the statistic of b to that of a lies. */
  Interval ratio(Sample a, Sample b, ToDoubleBiFunction<Sample, int[]> statistic) {
    long perResample = Math.max(1, 2L * (a.size() + b.size()));
    int count = (int) Math.max(LEAST, Math.min(resamples, WORK / perResample));
    SplittableRandom random = new SplittableRandom(SEED);
    double[] ratios = new double[count];
    for (int i = 0; i < count; i++) {
      double ofA = statistic.applyAsDouble(a, weights(a.units(), random));
      ratios[i] = ratio(ofA, statistic.applyAsDouble(b, weights(b.units(), random)));
    }
    double[] known = Arrays.stream(ratios).filter(r -> !Double.isNaN(r)).sorted().toArray();
    if (known.length == 0) {
      return new Interval(0, Double.POSITIVE_INFINITY);
    }
    double tail = (1 - confidence) / 2;
    return new Interval(quantile(known, tail), quantile(known, 1 - tail));
  }

  /** b / a; 1 where both are 0, as they are between tokens that come together. */
  static double ratio(double a, double b) {
    return a == 0 && b == 0 ? 1 : b / a;
  }

  private static double quantile(double[] sorted, double share) {
    return sorted[(int) Math.round(share * (sorted.length - 1))];
  }

  /** How often each unit is drawn. */
  private static int[] weights(int units, SplittableRandom random) {
    int block = Math.max(1, (int) Math.ceil(Math.cbrt(units)));
    int[] weights = new int[units];
    for (int drawn = 0; drawn < units; drawn += block) {
      int from = random.nextInt(units);
      for (int i = 0; i < Math.min(block, units - drawn); i++) {
        weights[(from + i) % units]++;
      }
    }
    return weights;
  }
}

package io.tercel.loadtests.compare;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Values of a run's units (requests, or stretches of time), in the order of time, a unit with any
 * number of them. Sorted once: percentiles of a resample are those of weighted values.
 */
final class Sample {
  private final double[] values;
  private final int[] units;
  private final int unitCount;

  private Sample(double[] values, int[] units, int unitCount) {
    this.values = values;
    this.units = units;
    this.unitCount = unitCount;
  }

  /** Of these values a unit. */
  static Sample of(List<double[]> byUnit) {
    double[] values = new double[byUnit.stream().mapToInt(v -> v.length).sum()];
    int[] units = new int[values.length];
    int at = 0;
    for (int unit = 0; unit < byUnit.size(); unit++) {
      for (double value : byUnit.get(unit)) {
        values[at] = value;
        units[at++] = unit;
      }
    }
    Integer[] order = IntStream.range(0, values.length).boxed().toArray(Integer[]::new);
    Arrays.sort(order, Comparator.comparingDouble(i -> values[i]));
    return new Sample(
        Arrays.stream(order).mapToDouble(i -> values[i]).toArray(),
        Arrays.stream(order).mapToInt(i -> units[i]).toArray(),
        byUnit.size());
  }

  int size() {
    return values.length;
  }

  /** How many units it has, those without values too. */
  int units() {
    return unitCount;
  }

  /** Weights with which each unit counts once. */
  int[] once() {
    int[] weights = new int[unitCount];
    Arrays.fill(weights, 1);
    return weights;
  }

  double mean(int[] weights) {
    double sum = 0;
    long count = 0;
    for (int i = 0; i < values.length; i++) {
      sum += values[i] * weights[units[i]];
      count += weights[units[i]];
    }
    return count == 0 ? Double.NaN : sum / count;
  }

  /** The value of nearest rank, where a unit's values count as often as its weight says. */
  double percentile(double percentile, int[] weights) {
    long count = 0;
    for (int unit : units) {
      count += weights[unit];
    }
    long rank = Math.max(1, (long) Math.ceil(percentile / 100 * count));
    long seen = 0;
    for (int i = 0; i < values.length; i++) {
      seen += weights[units[i]];
      if (seen >= rank) {
        return values[i];
      }
    }
    return Double.NaN;
  }
}

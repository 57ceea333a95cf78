package io.tercel.loadtests.report;

/**
 * An axis of percentiles whose ticks, 50, 90, 95, 99 and 99.9 %, lie at 1 to 5: between two ticks
 * it is logarithmic in what is beyond, so that the slowest have the room that they don't have on a
 * straight one.
 */
final class PercentileAxis {
  private static final double[] TICKS = {0, 50, 90, 95, 99, 99.9};

  /** Where the axis ends. */
  static final double END = TICKS.length - 1;

  private PercentileAxis() {}

  /** The percentile at a place, from 0 to {@link #END}. */
  static double percentile(double place) {
    int tick = (int) Math.min(TICKS.length - 2, Math.floor(place));
    double low = nines(TICKS[tick]);
    double high = nines(TICKS[tick + 1]);
    return 100 * (1 - Math.pow(10, -(low + (high - low) * (place - tick))));
  }

  /** A tick's label; empty where there is none. */
  static String label(double place) {
    int tick = (int) Math.rint(place);
    boolean isTick = Math.abs(place - tick) < 1e-6 && tick >= 1 && tick < TICKS.length;
    return isTick ? Selection.name(TICKS[tick]).substring(1) : "";
  }

  private static double nines(double percentile) {
    return -Math.log10(1 - percentile / 100);
  }
}

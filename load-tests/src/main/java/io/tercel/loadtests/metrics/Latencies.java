package io.tercel.loadtests.metrics;

import org.HdrHistogram.Histogram;

/**
 * Latencies of one kind. Mean and standard deviation (of the population) are exact; median and
 * percentiles are HdrHistogram's: a recorded value of nearest rank, to three digits. All are 0
 * where nothing was recorded, as in {@code vllm bench serve}.
 */
public final class Latencies {
  private static final int DIGITS = 3;
  private static final double NANOS_PER_MILLI = 1e6;

  private final Histogram histogram = new Histogram(DIGITS);
  private double mean;
  private double squares;

  /** Adds one. */
  public void record(double nanos) {
    double value = Math.max(0, nanos);
    histogram.recordValue(Math.round(value));
    double delta = value - mean;
    mean += delta / histogram.getTotalCount();
    squares += delta * (value - mean);
  }

  public long count() {
    return histogram.getTotalCount();
  }

  public double meanMs() {
    return mean / NANOS_PER_MILLI;
  }

  public double stdMs() {
    return count() == 0 ? 0 : Math.sqrt(squares / count()) / NANOS_PER_MILLI;
  }

  public double medianMs() {
    return percentileMs(50);
  }

  /** The value that so many percent don't exceed. */
  public double percentileMs(double percentile) {
    return count() == 0 ? 0 : histogram.getValueAtPercentile(percentile) / NANOS_PER_MILLI;
  }
}

package io.tercel.loadtests.report;

import io.tercel.loadtests.metrics.LatencyMetric;
import java.util.List;

/**
 * Which figures are shown.
 *
 * @param metrics latencies, in their order
 * @param percentiles of each, above 0 to 100
 */
public record Selection(List<LatencyMetric> metrics, List<Double> percentiles) {
  public Selection {
    metrics = List.copyOf(metrics);
    percentiles = List.copyOf(percentiles);
  }

  /** A percentile's name, such as {@code p99} or {@code p99.9}. */
  static String name(double percentile) {
    return percentile == Math.rint(percentile) ? "p" + (long) percentile : "p" + percentile;
  }
}

package io.tercel.loadtests.metrics;

import java.util.EnumMap;
import java.util.Map;

/**
 * Service-level objectives of one request: what it may take at most. Goodput counts the requests
 * that meet all of them.
 */
public final class Slo {
  private final Map<LatencyMetric, Double> limitsMs;

  /**
   * These objectives.
   *
   * @param limitsMs milliseconds, for any metrics but {@link LatencyMetric#ITL}, of which a request
   *     has many
   */
  public Slo(Map<LatencyMetric, Double> limitsMs) {
    if (limitsMs.containsKey(LatencyMetric.ITL)) {
      throw new IllegalArgumentException("a request has many inter-token latencies");
    }
    this.limitsMs = limitsMs.isEmpty() ? Map.of() : new EnumMap<>(limitsMs);
  }

  public boolean isEmpty() {
    return limitsMs.isEmpty();
  }

  /** Whether a request that completed meets them all; what never came is not in time. */
  public boolean isMetBy(RequestTrace trace) {
    for (Map.Entry<LatencyMetric, Double> limit : limitsMs.entrySet()) {
      double nanos =
          switch (limit.getKey()) {
            case TTFT -> trace.hasTokens() ? trace.ttft() : Double.POSITIVE_INFINITY;
            case TTFAT -> trace.hasAnswer() ? trace.ttfat() : Double.POSITIVE_INFINITY;
            case TPOT -> trace.tpot();
            case E2EL -> trace.e2el();
            case ITL -> throw new IllegalStateException("itl");
          };
      if (nanos > limit.getValue() * 1e6) {
        return false;
      }
    }
    return true;
  }
}

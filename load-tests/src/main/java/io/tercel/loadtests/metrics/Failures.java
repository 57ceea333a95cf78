package io.tercel.loadtests.metrics;

import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** Failures of all clients, counted by cause, with the first message of each. */
public final class Failures {
  private final SortedMap<String, Long> counts = new TreeMap<>();
  private final SortedMap<String, String> examples = new TreeMap<>();
  private long retryAfters;
  private double leastRetryAfter = Double.POSITIVE_INFINITY;
  private double greatestRetryAfter;

  /** Counts. */
  public static Failures of(List<RequestTrace> traces) {
    Failures failures = new Failures();
    for (RequestTrace trace : traces) {
      Failure failure = trace.failure();
      if (failure != null) {
        failures.counts.merge(failure.cause(), 1L, Long::sum);
        failures.examples.putIfAbsent(failure.cause(), failure.message());
        failure
            .retryAfter()
            .ifPresent(
                seconds -> {
                  failures.retryAfters++;
                  failures.leastRetryAfter = Math.min(failures.leastRetryAfter, seconds);
                  failures.greatestRetryAfter = Math.max(failures.greatestRetryAfter, seconds);
                });
      }
    }
    return failures;
  }

  public boolean isEmpty() {
    return counts.isEmpty();
  }

  /** How many there were of each cause. */
  public Map<String, Long> counts() {
    return counts;
  }

  /** What the first of a cause said. */
  public String example(String cause) {
    return examples.getOrDefault(cause, "");
  }

  /** How many answers told when to come again. */
  public long retryAfters() {
    return retryAfters;
  }

  /** Seconds; only if there were any. */
  public double leastRetryAfter() {
    return leastRetryAfter;
  }

  /** Seconds; only if there were any. */
  public double greatestRetryAfter() {
    return greatestRetryAfter;
  }
}

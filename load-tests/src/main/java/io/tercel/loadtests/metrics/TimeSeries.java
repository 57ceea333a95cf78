package io.tercel.loadtests.metrics;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** What went on in each second of a run: tokens that came, and requests under way on average. */
public final class TimeSeries {
  private static final double NANOS_PER_SECOND = 1e9;

  private final double[] tokens;
  private final double[] concurrency;
  private final int peakConcurrency;

  private TimeSeries(double[] tokens, double[] concurrency, int peakConcurrency) {
    this.tokens = tokens;
    this.concurrency = concurrency;
    this.peakConcurrency = peakConcurrency;
  }

  /** Of the requests that completed; seconds count from the first sending. */
  public static TimeSeries of(List<RequestTrace> traces) {
    List<RequestTrace> completed =
        traces.stream()
            .filter(
                t ->
                    t.client() == RequestTrace.Client.PATIENT
                        && t.ending() == RequestTrace.Ending.COMPLETED)
            .toList();
    long start = completed.stream().mapToLong(RequestTrace::sentAt).min().orElse(0);
    long end = completed.stream().mapToLong(RequestTrace::last).max().orElse(0);
    int seconds = completed.isEmpty() ? 0 : (int) ((end - start) / 1_000_000_000L) + 1;
    double[] tokens = new double[seconds];
    double[] concurrency = new double[seconds];
    for (RequestTrace trace : completed) {
      for (int i = 0; i < trace.tokenEvents(); i++) {
        tokens[(int) ((trace.tokenTime(i) - start) / 1_000_000_000L)] += trace.tokensPerEvent();
      }
      spread(trace.sentAt() - start, trace.last() - start, concurrency);
    }
    return new TimeSeries(tokens, concurrency, peak(completed));
  }

  /** Adds to each second the share of it that a request was under way. */
  private static void spread(long from, long to, double[] concurrency) {
    for (int second = (int) (from / 1_000_000_000L); second < concurrency.length; second++) {
      double begin = Math.max(from, second * NANOS_PER_SECOND);
      double end = Math.min(to, (second + 1) * NANOS_PER_SECOND);
      if (end <= begin) {
        break;
      }
      concurrency[second] += (end - begin) / NANOS_PER_SECOND;
    }
  }

  private record Step(long nanos, int by) {}

  /** One that ends as another begins is not counted with it. */
  private static int peak(List<RequestTrace> traces) {
    List<Step> steps = new ArrayList<>();
    for (RequestTrace trace : traces) {
      steps.add(new Step(trace.sentAt(), 1));
      steps.add(new Step(trace.last(), -1));
    }
    steps.sort(Comparator.comparingLong(Step::nanos).thenComparingInt(Step::by));
    int now = 0;
    int peak = 0;
    for (Step step : steps) {
      now += step.by();
      peak = Math.max(peak, now);
    }
    return peak;
  }

  /** Output tokens of each second. */
  public double[] tokens() {
    return tokens.clone();
  }

  /** Requests under way in each second, on average over it. */
  public double[] concurrency() {
    return concurrency.clone();
  }

  /** Output tokens of the busiest second. */
  public double maxTokens() {
    double max = 0;
    for (double second : tokens) {
      max = Math.max(max, second);
    }
    return max;
  }

  /** The most requests under way at the same moment. */
  public int peakConcurrency() {
    return peakConcurrency;
  }
}

package io.tercel.loadtests.metrics;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * What a run, or a window of it, amounts to. Only patient clients count here: those who left or
 * read slowly are in {@link Misbehaviour}. Rates are per second of the window.
 *
 * <p>In a window, requests count by the time they were to be sent, tokens and completions by the
 * time they came.
 */
public final class Summary {
  private final double seconds;
  private final Map<LatencyMetric, Latencies> latencies = new EnumMap<>(LatencyMetric.class);
  private long completed;
  private long failed;
  private long ended;
  private long good;
  private long inTime;
  private long inputTokens;
  private long cachedTokens;
  private double outputTokens;
  private long reasoningTokens;
  private long withThinking;

  private Summary(double seconds) {
    this.seconds = seconds;
    for (LatencyMetric metric : LatencyMetric.values()) {
      latencies.put(metric, new Latencies());
    }
  }

  /**
   * Sums up.
   *
   * @param window {@link Window} over the whole run, or its steady state
   */
  public static Summary of(List<RequestTrace> traces, Window window, Slo slo) {
    Summary summary = new Summary(window.seconds());
    for (RequestTrace trace : traces) {
      if (trace.client() == RequestTrace.Client.PATIENT) {
        summary.add(trace, window, slo);
      }
    }
    return summary;
  }

  private void add(RequestTrace trace, Window window, Slo slo) {
    boolean began = window.contains(trace.intended());
    if (trace.ending() == RequestTrace.Ending.FAILED) {
      failed += began ? 1 : 0;
      return;
    }
    if (trace.ending() != RequestTrace.Ending.COMPLETED) {
      return;
    }
    addTokens(trace, window);
    if (window.contains(trace.last())) {
      ended++;
      good += slo.isMetBy(trace) ? 1 : 0;
      inputTokens += trace.promptTokens();
      cachedTokens += trace.cachedTokens();
      reasoningTokens += trace.reasoningTokens();
    }
    if (!began) {
      return;
    }
    completed++;
    inTime += slo.isMetBy(trace) ? 1 : 0;
    withThinking += trace.hasAnswer() && trace.ttfat() > trace.ttft() ? 1 : 0;
    if (trace.hasTokens()) {
      record(LatencyMetric.TTFT, trace.ttft());
    }
    if (trace.hasAnswer()) {
      record(LatencyMetric.TTFAT, trace.ttfat());
    }
    if (trace.outputTokens() > 1) {
      record(LatencyMetric.TPOT, trace.tpot());
    }
    record(LatencyMetric.E2EL, trace.e2el());
  }

  private void addTokens(RequestTrace trace, Window window) {
    int within = 0;
    for (int i = 0; i < trace.tokenEvents(); i++) {
      if (window.contains(trace.tokenTime(i))) {
        within++;
        if (i > 0) {
          record(LatencyMetric.ITL, trace.tokenTime(i) - trace.tokenTime(i - 1));
        }
      }
    }
    outputTokens +=
        within == trace.tokenEvents() ? trace.outputTokens() : within * trace.tokensPerEvent();
  }

  private void record(LatencyMetric metric, double nanos) {
    latencies(metric).record(nanos);
  }

  /** The latencies of one kind. */
  public Latencies latencies(LatencyMetric metric) {
    Latencies found = latencies.get(metric);
    if (found == null) {
      throw new IllegalArgumentException(metric.key());
    }
    return found;
  }

  public double seconds() {
    return seconds;
  }

  /** Requests of the window that were answered. */
  public long completed() {
    return completed;
  }

  /** Requests of the window that failed. */
  public long failed() {
    return failed;
  }

  public long inputTokens() {
    return inputTokens;
  }

  public long cachedTokens() {
    return cachedTokens;
  }

  /** Thinking included. */
  public long outputTokens() {
    return Math.round(outputTokens);
  }

  public long reasoningTokens() {
    return reasoningTokens;
  }

  /** Requests that thought before they answered. */
  public long withThinking() {
    return withThinking;
  }

  public double requestThroughput() {
    return perSecond(ended);
  }

  /** Answered requests that met their objectives, a second. */
  public double requestGoodput() {
    return perSecond(good);
  }

  /**
   * Share of the window's requests, 0 to 1, that were answered and met their objectives; those that
   * failed did not. 0 without any.
   */
  public double attainment() {
    long requests = completed + failed;
    return requests == 0 ? 0 : (double) inTime / requests;
  }

  public double outputThroughput() {
    return perSecond(outputTokens);
  }

  public double reasoningThroughput() {
    return perSecond(reasoningTokens);
  }

  public double totalTokenThroughput() {
    return perSecond(inputTokens + outputTokens);
  }

  private double perSecond(double amount) {
    return seconds > 0 ? amount / seconds : 0;
  }
}

package io.tercel.loadtests.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.loadtests.metrics.RequestTrace.Client;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

/** Figures of timelines whose every moment is known. Times in milliseconds. */
class SummaryTest {
  private static final long MS = 1_000_000;

  /** Far from 0 and below it, as nanoTime may be. */
  private static final long START = -7_000_000_000L;

  private static final Slo NO_SLO = new Slo(Map.of());

  private static RequestTrace begun(long intended, long sent) {
    RequestTrace trace = new RequestTrace(0, Client.PATIENT, START + intended * MS, false);
    trace.sent(START + sent * MS);
    return trace;
  }

  /** One token at each time; the last thinking before the answer. */
  private static RequestTrace completed(
      Client client, long intended, long sent, int thoughts, long... tokens) {
    RequestTrace trace = new RequestTrace(0, client, START + intended * MS, false);
    trace.sent(START + sent * MS);
    for (int i = 0; i < tokens.length; i++) {
      trace.tokens(START + tokens[i] * MS, i >= thoughts);
    }
    trace.finish(START + tokens[tokens.length - 1] * MS);
    trace.usage(10, 4, tokens.length, thoughts);
    trace.completed(START + tokens[tokens.length - 1] * MS);
    return trace;
  }

  private static Window window(long from, long to) {
    return new Window(START + from * MS, START + to * MS);
  }

  /** Two requests: a, three tokens, one of them thinking; b, two tokens, sent 50 ms late. */
  private static List<RequestTrace> two() {
    return List.of(
        completed(Client.PATIENT, 0, 0, 1, 100, 120, 160),
        completed(Client.PATIENT, 100, 150, 0, 300, 400));
  }

  @Test
  void latencies_areThoseOfTheTimeline() {
    Summary summary = Summary.of(two(), window(0, 1000), NO_SLO);
    // from the intended time, not from the late sending: 100 and 200
    assertMs(150, 50, summary.latencies(LatencyMetric.TTFT));
    // the first answer token: 120 and 200
    assertMs(160, 40, summary.latencies(LatencyMetric.TTFAT));
    // (160 - 100) / 2 and (400 - 300) / 1
    assertMs(65, 35, summary.latencies(LatencyMetric.TPOT));
    // 20, 40, 100: mean 160/3, variance (20² + 40² + 100²)/3 - (160/3)²
    Latencies itl = summary.latencies(LatencyMetric.ITL);
    assertEquals(3, itl.count());
    assertEquals(160 / 3.0, itl.meanMs(), 1e-9);
    assertEquals(Math.sqrt(4000 - 160 * 160 / 9.0), itl.stdMs(), 1e-9);
    assertEquals(40, itl.medianMs(), 0.04);
    assertEquals(100, itl.percentileMs(99), 0.1);
    // 160 and 300
    assertMs(230, 70, summary.latencies(LatencyMetric.E2EL));
    assertEquals(1, summary.withThinking());
  }

  private static void assertMs(double mean, double std, Latencies latencies) {
    assertEquals(2, latencies.count());
    assertEquals(mean, latencies.meanMs(), 1e-9);
    assertEquals(std, latencies.stdMs(), 1e-9);
    assertEquals(mean - std, latencies.medianMs(), (mean - std) / 1000);
    assertEquals(mean + std, latencies.percentileMs(99), (mean + std) / 1000);
  }

  /** Of two that were answered, one in time, and one that failed: a third; one is outside. */
  @Test
  void attainment_countsThoseThatFailed() {
    RequestTrace failed = begun(300, 300);
    failed.failed(START + 310 * MS, Failure.connection("gone"));
    List<RequestTrace> traces = new ArrayList<>(two());
    traces.add(failed);
    Slo slo = new Slo(Map.of(LatencyMetric.TTFT, 150.0));
    assertEquals(1 / 3.0, Summary.of(traces, window(0, 1000), slo).attainment(), 1e-9);
    assertEquals(0, Summary.of(traces, window(50, 1000), slo).attainment());
    assertEquals(0, Summary.of(List.of(), window(0, 1000), slo).attainment());
  }

  @Test
  void throughput_isPerSecondOfTheWindow() {
    Summary summary = Summary.of(two(), window(0, 500), NO_SLO);
    assertEquals(2, summary.completed());
    assertEquals(20, summary.inputTokens());
    assertEquals(8, summary.cachedTokens());
    assertEquals(5, summary.outputTokens());
    assertEquals(1, summary.reasoningTokens());
    assertEquals(4, summary.requestThroughput(), 1e-9);
    assertEquals(10, summary.outputThroughput(), 1e-9);
    assertEquals(50, summary.totalTokenThroughput(), 1e-9);
    assertEquals(2, summary.reasoningThroughput(), 1e-9);
  }

  @Test
  void window_takesTokensByTimeAndRequestsByBeginning() {
    // a ends within it and began before; b began within and ends behind it; 160, 300 are within
    Summary summary = Summary.of(two(), window(100, 350), NO_SLO);
    assertEquals(1, summary.completed());
    assertEquals(200, summary.latencies(LatencyMetric.TTFT).meanMs(), 1e-9);
    assertEquals(1 / 0.25, summary.requestThroughput(), 1e-9);
    assertEquals(4 / 0.25, summary.outputThroughput(), 1e-9); // 100, 120, 160, 300
    assertEquals(2, summary.latencies(LatencyMetric.ITL).count()); // 120, 160
  }

  @Test
  void tokens_thatCameTogether_count() {
    RequestTrace trace = begun(0, 0);
    trace.tokens(START + 100 * MS, true);
    trace.tokens(START + 200 * MS, true);
    trace.usage(5, 0, 6, 0); // by the server's count three each time
    trace.completed(START + 200 * MS);
    Summary summary = Summary.of(List.of(trace), window(0, 1000), NO_SLO);
    assertEquals(6, summary.outputTokens());
    assertEquals(100 / 5.0, summary.latencies(LatencyMetric.TPOT).meanMs(), 1e-9);
    assertEquals(3, Summary.of(List.of(trace), window(0, 150), NO_SLO).outputTokens());
  }

  @Test
  void goodput_needsAllObjectives() {
    Slo ttft = new Slo(Map.of(LatencyMetric.TTFT, 100.0));
    assertEquals(1, Summary.of(two(), window(0, 1000), ttft).requestGoodput(), 1e-9);
    Slo both = new Slo(Map.of(LatencyMetric.TTFT, 200.0, LatencyMetric.TPOT, 29.9));
    assertEquals(0, Summary.of(two(), window(0, 1000), both).requestGoodput(), 1e-9);
    Slo all =
        new Slo(
            Map.of(
                LatencyMetric.TTFT, 200.0,
                LatencyMetric.TTFAT, 200.0,
                LatencyMetric.TPOT, 100.0,
                LatencyMetric.E2EL, 300.0));
    assertEquals(2, Summary.of(two(), window(0, 1000), all).requestGoodput(), 1e-9);
  }

  @Test
  void answerThatNeverCame_isNotInTime() {
    RequestTrace thinksOnly = completed(Client.PATIENT, 0, 0, 2, 10, 20);
    assertFalse(new Slo(Map.of(LatencyMetric.TTFAT, 1e9)).isMetBy(thinksOnly));
    assertTrue(new Slo(Map.of(LatencyMetric.TTFT, 10.0)).isMetBy(thinksOnly));
  }

  @Test
  void othersThanPatientClients_areCountedApart() {
    RequestTrace left = new RequestTrace(1, Client.LEAVER, START, false);
    left.tokens(START + 5 * MS, true);
    left.left(START + 6 * MS);
    left.tokens(START + 7 * MS, true); // after its end nothing counts
    List<RequestTrace> traces =
        List.of(
            completed(Client.PATIENT, 0, 0, 0, 100, 200),
            left,
            completed(Client.SLOW_READER, 0, 0, 0, 5000, 9000));
    Summary summary = Summary.of(traces, window(0, 1000), NO_SLO);
    assertEquals(1, summary.completed());
    assertEquals(2, summary.outputTokens());
    assertEquals(new Misbehaviour(1, 1, 0, 0, 1), Misbehaviour.of(traces, Client.LEAVER));
    assertEquals(new Misbehaviour(1, 0, 1, 0, 2), Misbehaviour.of(traces, Client.SLOW_READER));
  }

  @Test
  void failures_areCountedByCause() {
    RequestTrace refused = begun(0, 0);
    refused.failed(START, Failure.status(429, "busy", OptionalDouble.of(3)));
    RequestTrace again = begun(0, 0);
    again.failed(START, Failure.status(429, "still busy", OptionalDouble.of(1)));
    RequestTrace broken = begun(0, 0);
    broken.failed(START, Failure.stream("gone"));
    List<RequestTrace> traces = List.of(refused, again, broken);
    Failures failures = Failures.of(traces);
    assertEquals(Map.of("http_429", 2L, "stream", 1L), failures.counts());
    assertEquals("busy", failures.example("http_429"));
    assertEquals(2, failures.retryAfters());
    assertEquals(1, failures.leastRetryAfter());
    assertEquals(3, failures.greatestRetryAfter());
    Summary summary = Summary.of(traces, window(0, 1000), NO_SLO);
    assertEquals(3, summary.failed());
    assertEquals(0, summary.completed());
    assertEquals(0, summary.latencies(LatencyMetric.E2EL).meanMs());
  }

  @Test
  void steadyState_isFromFirstCompletionToLastSending() {
    List<RequestTrace> traces =
        List.of(
            completed(Client.PATIENT, 0, 0, 0, 100, 180),
            completed(Client.PATIENT, 0, 0, 0, 100, 400),
            completed(Client.PATIENT, 180, 181, 0, 300, 500));
    assertEquals(Optional.of(window(180, 181)), Window.steadyState(traces));
    // the last was sent before one was completed
    assertEquals(Optional.empty(), Window.steadyState(traces.subList(0, 2)));
  }

  @Test
  void timeSeries_spreadsTokensAndRequestsOverSeconds() {
    List<RequestTrace> traces =
        List.of(
            completed(Client.PATIENT, 0, 0, 0, 500, 1500, 2500),
            completed(Client.PATIENT, 0, 1000, 0, 1250, 1750),
            completed(Client.PATIENT, 0, 1750, 0, 2000));
    TimeSeries series = TimeSeries.of(traces);
    assertEquals(List.of(1.0, 3.0, 2.0), java.util.Arrays.stream(series.tokens()).boxed().toList());
    assertEquals(
        List.of(1.0, 2.0, 0.5), java.util.Arrays.stream(series.concurrency()).boxed().toList());
    assertEquals(3, series.maxTokens());
    // the third begins as the second ends
    assertEquals(2, series.peakConcurrency());
  }

  @Test
  void tokensWithoutText_areSeenAtTheEnd() {
    RequestTrace trace = begun(0, 0);
    trace.finish(START + 70 * MS);
    trace.usage(5, 0, 2, 0);
    trace.completed(START + 80 * MS);
    assertEquals(70 * MS, trace.ttft());
    assertEquals(70 * MS, trace.e2el());
  }
}

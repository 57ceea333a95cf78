package io.tercel.loadtests.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Slo;
import io.tercel.loadtests.metrics.Window;
import io.tercel.loadtests.traffic.Pace;
import io.tercel.loadtests.traffic.RunResult;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RunReportTest {
  private static final long MS = 1_000_000;

  /** Requests with one token each: sent, answered, in milliseconds. */
  private static RunReport report(long[]... times) {
    List<RequestTrace> traces = new ArrayList<>();
    for (long[] time : times) {
      RequestTrace trace =
          new RequestTrace(traces.size(), RequestTrace.Client.PATIENT, time[0] * MS, false);
      trace.sent(time[0] * MS);
      trace.tokens(time[1] * MS, true);
      trace.completed(time[1] * MS);
      traces.add(trace);
    }
    RunInfo info =
        new RunInfo(
            LocalDateTime.of(2026, 1, 1, 0, 0),
            "openai",
            "/v1/completions",
            "x",
            "m",
            "random",
            times.length,
            Pace.of(50, 1),
            0,
            0,
            0,
            0);
    Slo slo = new Slo(Map.of(LatencyMetric.TTFT, 500.0));
    return RunReport.of(info, new RunResult(traces, new Window(0, 3000 * MS)), slo, List.of());
  }

  /** A server that says nothing for a second: the steady state knows only what came after it. */
  @Test
  void attainment_countsWhatWaitedForTheFirstAnswer() {
    RunReport report =
        report(
            new long[] {0, 1000},
            new long[] {10, 1000},
            new long[] {20, 1000},
            new long[] {30, 1000},
            new long[] {1010, 1015},
            new long[] {1020, 1025});
    assertEquals(1, report.steadyOrAll().attainment());
    assertEquals(2 / 6.0, report.attainment(), 1e-9);
  }

  /** A server that is empty at the beginning: the steady state knows that it gets slower. */
  @Test
  void attainment_isNoBetterThanTheSteadyState() {
    RunReport report =
        report(
            new long[] {0, 5},
            new long[] {2, 6},
            new long[] {10, 900},
            new long[] {20, 1000},
            new long[] {1100, 1105});
    assertEquals(0, report.steadyOrAll().attainment());
    assertEquals(0, report.attainment());
  }
}

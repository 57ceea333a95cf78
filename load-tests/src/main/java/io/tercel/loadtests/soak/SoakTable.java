package io.tercel.loadtests.soak;

import io.tercel.loadtests.metrics.Failures;
import io.tercel.loadtests.metrics.Latencies;
import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Slo;
import io.tercel.loadtests.metrics.Summary;
import io.tercel.loadtests.traffic.RunResult;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** A soak's result for people. */
public final class SoakTable {
  private static final String ROW = "%-8s %9s %8s %6s %6s %9s | %8s %8s %8s | %8s %8s%n";

  private SoakTable() {}

  public static String of(SoakResult result) {
    StringBuilder out = new StringBuilder();
    out.append(
        String.format(
            Locale.ROOT,
            ROW,
            "class",
            "completed",
            "429",
            "left",
            "slow",
            "tok/s",
            "ITL p50",
            "p99",
            "p99.9",
            "TTFT p50",
            "p99 ms"));
    new TreeMap<>(result.results()).forEach((name, of) -> out.append(line(name, of)));
    memory(out, "resident memory", result.resident());
    memory(out, "outside the heap", result.outsideHeap());
    memory(out, "left of the heap by collections", result.liveHeap());
    out.append(WeightUpdates.line(result.updateSeconds())).append('\n');
    return out.toString();
  }

  private static void memory(StringBuilder out, String what, MemoryTrend trend) {
    out.append(
        String.format(
            Locale.ROOT,
            "%s, medians of the second and the last third: %.0f and %.0f MiB%n",
            what,
            trend.second() / (1 << 20),
            trend.last() / (1 << 20)));
  }

  private static String line(String name, RunResult result) {
    List<RequestTrace> traces = result.traces();
    Summary summary = Summary.of(traces, result.window(), new Slo(Map.of()));
    Latencies itl = summary.latencies(LatencyMetric.ITL);
    Latencies ttft = summary.latencies(LatencyMetric.TTFT);
    return String.format(
        Locale.ROOT,
        ROW,
        name,
        summary.completed(),
        Failures.of(traces).counts().getOrDefault("http_429", 0L),
        count(traces, RequestTrace.Client.LEAVER),
        count(traces, RequestTrace.Client.SLOW_READER),
        String.format(Locale.ROOT, "%.0f", summary.outputThroughput()),
        ms(itl, 50),
        ms(itl, 99),
        ms(itl, 99.9),
        ms(ttft, 50),
        ms(ttft, 99));
  }

  private static long count(List<RequestTrace> traces, RequestTrace.Client client) {
    return traces.stream().filter(t -> t.client() == client).count();
  }

  private static String ms(Latencies latencies, double percentile) {
    return latencies.count() == 0
        ? "-"
        : String.format(Locale.ROOT, "%.1f", latencies.percentileMs(percentile));
  }
}

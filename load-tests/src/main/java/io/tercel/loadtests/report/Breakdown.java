package io.tercel.loadtests.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.metrics.Latencies;
import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Slo;
import io.tercel.loadtests.metrics.Summary;
import io.tercel.loadtests.metrics.Window;
import java.util.List;
import java.util.Locale;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * A run by what its requests are told apart by: their service classes, and the turns of their
 * sessions. Empty where they aren't.
 */
public final class Breakdown {
  private final SortedMap<String, Summary> classes = new TreeMap<>();
  private final SortedMap<Integer, Summary> turns = new TreeMap<>();

  private Breakdown() {}

  static Breakdown of(List<RequestTrace> traces, Window window, Slo slo) {
    Breakdown breakdown = new Breakdown();
    TreeSet<String> classes = new TreeSet<>();
    TreeSet<Integer> turns = new TreeSet<>();
    for (RequestTrace trace : traces) {
      classes.add(trace.label().serviceClass());
      turns.add(trace.label().turn());
    }
    classes.remove("");
    turns.remove(0);
    for (String name : classes) {
      List<RequestTrace> own =
          traces.stream().filter(trace -> trace.label().serviceClass().equals(name)).toList();
      breakdown.classes.put(name, Summary.of(own, window, slo));
    }
    for (int turn : turns) {
      List<RequestTrace> own =
          traces.stream().filter(trace -> trace.label().turn() == turn).toList();
      breakdown.turns.put(turn, Summary.of(own, window, slo));
    }
    return breakdown;
  }

  /** Summaries by service class. */
  public SortedMap<String, Summary> classes() {
    return new TreeMap<>(classes);
  }

  /** Summaries by turn, from 1. */
  public SortedMap<Integer, Summary> turns() {
    return new TreeMap<>(turns);
  }

  /** Adds what there is to a run's JSON. */
  void addTo(ObjectNode json, ResultJson form, boolean goodput) {
    classes.forEach(
        (name, summary) ->
            form.part(json.withObject("/service_classes/" + name), summary, goodput));
    if (turns.isEmpty()) {
      return;
    }
    ArrayNode list = json.putArray("turns");
    turns.forEach(
        (turn, summary) -> {
          ObjectNode node = list.addObject().put("turn", turn);
          node.put("total_cached_tokens", summary.cachedTokens());
          form.part(node, summary, goodput);
        });
  }

  /** As tables for the terminal; empty if there is nothing to tell apart. */
  String table() {
    StringBuilder out = new StringBuilder();
    if (!classes.isEmpty()) {
      row(
          out,
          "class",
          "requests",
          "failed",
          "out tok/s",
          "TTFT p50 ms",
          "TTFT p99 ms",
          "TPOT p99 ms");
      classes.forEach(
          (name, summary) ->
              row(
                  out,
                  name,
                  "" + summary.completed(),
                  "" + summary.failed(),
                  figure(summary.outputThroughput()),
                  figure(ttft(summary).medianMs()),
                  figure(ttft(summary).percentileMs(99)),
                  figure(summary.latencies(LatencyMetric.TPOT).percentileMs(99))));
    }
    if (!turns.isEmpty()) {
      row(out, "turn", "requests", "failed", "prompt tok", "cached", "TTFT p50 ms", "TTFT p99 ms");
      turns.forEach(
          (turn, summary) ->
              row(
                  out,
                  "" + turn,
                  "" + summary.completed(),
                  "" + summary.failed(),
                  ""
                      + Math.round(
                          (double) summary.inputTokens() / Math.max(1, summary.completed())),
                  figure(100.0 * summary.cachedTokens() / Math.max(1, summary.inputTokens()))
                      + " %",
                  figure(ttft(summary).medianMs()),
                  figure(ttft(summary).percentileMs(99))));
    }
    return out.toString();
  }

  private static Latencies ttft(Summary summary) {
    return summary.latencies(LatencyMetric.TTFT);
  }

  private static String figure(double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  private static void row(StringBuilder out, Object... cells) {
    out.append(String.format(Locale.ROOT, "%-8s %8s %6s %10s %11s %11s %11s%n", cells));
  }
}

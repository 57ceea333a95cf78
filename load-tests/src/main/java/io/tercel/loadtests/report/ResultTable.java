package io.tercel.loadtests.report;

import io.tercel.loadtests.client.ServerSample;
import io.tercel.loadtests.metrics.Latencies;
import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.Misbehaviour;
import io.tercel.loadtests.metrics.Summary;
import io.tercel.loadtests.traffic.Pace;
import java.util.List;
import java.util.Locale;

/** A run for the terminal, in the form that {@code vllm bench serve} prints. */
public final class ResultTable {
  private static final int WIDTH = 56;
  private static final double MIB = 1 << 20;

  private final StringBuilder out = new StringBuilder();
  private final Selection selection;

  private ResultTable(Selection selection) {
    this.selection = selection;
  }

  /** One run. */
  public static String of(RunReport report, Selection selection) {
    ResultTable table = new ResultTable(selection);
    table.run(report);
    return table.out.toString();
  }

  /** A sweep, a line a point. */
  public static String ofSweep(List<RunReport> points) {
    StringBuilder out = new StringBuilder();
    out.append(
        String.format(
            Locale.ROOT,
            "%11s %9s %9s %11s %11s %11s %11s %7s%n",
            "concurrency",
            "req/s",
            "out tok/s",
            "TTFT p50 ms",
            "TTFT p99 ms",
            "TPOT p50 ms",
            "TPOT p99 ms",
            "failed"));
    for (RunReport point : points) {
      Summary summary = point.steady().orElse(point.summary());
      Latencies ttft = summary.latencies(LatencyMetric.TTFT);
      Latencies tpot = summary.latencies(LatencyMetric.TPOT);
      out.append(
          String.format(
              Locale.ROOT,
              "%10d%s %9.2f %9.1f %11.2f %11.2f %11.2f %11.2f %7d%n",
              point.info().maxConcurrency(),
              point.steady().isPresent() ? " " : "*",
              summary.requestThroughput(),
              summary.outputThroughput(),
              ttft.medianMs(),
              ttft.percentileMs(99),
              tpot.medianMs(),
              tpot.percentileMs(99),
              point.summary().failed()));
    }
    if (points.stream().anyMatch(point -> point.steady().isEmpty())) {
      out.append("* too few requests for a steady state: the whole run counts\n");
    }
    return out.toString();
  }

  private void run(RunReport report) {
    RunInfo info = report.info();
    Summary summary = report.summary();
    title(" Serving Benchmark Result ", '=');
    line("Successful requests:", summary.completed());
    line("Failed requests:", summary.failed());
    if (info.maxConcurrency() > 0) {
      line("Maximum request concurrency:", info.maxConcurrency());
    }
    if (Double.isFinite(info.requestRate())) {
      line("Request rate configured (RPS):", info.requestRate());
    }
    if (info.pace() instanceof Pace.Ramp ramp) {
      line("Request rate from (RPS):", ramp.from());
      line("Request rate to (RPS):", ramp.to());
    }
    line("Benchmark duration (s):", summary.seconds());
    line("Total input tokens:", summary.inputTokens());
    if (summary.cachedTokens() > 0) {
      line("  of which in the prefix cache:", summary.cachedTokens());
    }
    line("Total generated tokens:", summary.outputTokens());
    if (summary.reasoningTokens() > 0) {
      line("  of which thinking:", summary.reasoningTokens());
    }
    throughput(summary, report.goodput());
    line("Peak output token throughput (tok/s):", report.series().maxTokens());
    line("Peak concurrent requests:", report.series().peakConcurrency());
    latencies(summary);
    out.append(report.breakdown().table());
    misbehaviour(report);
    failures(report);
    report.steady().ifPresent(steady -> steady(report, steady));
    server(report);
    out.append("=".repeat(WIDTH)).append('\n');
  }

  private void throughput(Summary summary, boolean goodput) {
    line("Request throughput (req/s):", summary.requestThroughput());
    if (goodput) {
      line("Request goodput (req/s):", summary.requestGoodput());
    }
    line("Output token throughput (tok/s):", summary.outputThroughput());
    if (summary.reasoningTokens() > 0) {
      line("  of which thinking (tok/s):", summary.reasoningThroughput());
    }
    line("Total token throughput (tok/s):", summary.totalTokenThroughput());
  }

  private void latencies(Summary summary) {
    for (LatencyMetric metric : selection.metrics()) {
      if (metric == LatencyMetric.TTFAT && summary.withThinking() == 0) {
        continue; // the same as TTFT
      }
      title(metric.title(), '-');
      Latencies latencies = summary.latencies(metric);
      String name = metric.name() + " (ms):";
      line("Mean " + name, latencies.meanMs());
      line("Median " + name, latencies.medianMs());
      line("Std " + name, latencies.stdMs());
      for (double percentile : selection.percentiles()) {
        line(
            Selection.name(percentile).toUpperCase(Locale.ROOT) + " " + name,
            latencies.percentileMs(percentile));
      }
    }
  }

  private void misbehaviour(RunReport report) {
    Misbehaviour leavers = report.leavers();
    Misbehaviour slow = report.slowReaders();
    if (leavers.sent() + slow.sent() == 0) {
      return;
    }
    title("Misbehaving clients (counted apart)", '-');
    if (leavers.sent() > 0) {
      line("Clients that were to leave:", leavers.sent());
      line("  left:", leavers.left());
      line("  answered before that:", leavers.completed());
      line("  failed:", leavers.failed());
    }
    if (slow.sent() > 0) {
      line("Slow readers:", slow.sent());
      line("  read all:", slow.completed());
      line("  cut off or failed:", slow.failed());
    }
  }

  private void failures(RunReport report) {
    if (report.failures().isEmpty()) {
      return;
    }
    title("Failures by cause", '-');
    report
        .failures()
        .counts()
        .forEach(
            (cause, count) -> {
              line(cause + ":", count);
              out.append("  e.g. ").append(report.failures().example(cause)).append('\n');
            });
    if (report.failures().retryAfters() > 0) {
      line("with Retry-After:", report.failures().retryAfters());
      line("  least (s):", report.failures().leastRetryAfter());
      line("  most (s):", report.failures().greatestRetryAfter());
    }
  }

  private void steady(RunReport report, Summary steady) {
    title("Steady state: first completion to last sending", '=');
    double start =
        (report.steadyWindow().orElseThrow().from() - report.result().window().from()) / 1e9;
    line("From (s):", start);
    line("To (s):", start + steady.seconds());
    line("Requests sent and answered:", steady.completed());
    throughput(steady, report.goodput());
    latencies(steady);
  }

  private void server(RunReport report) {
    if (report.samples().isEmpty()) {
      return;
    }
    title("Server's metrics", '-');
    for (String metric : ServerSample.NAMES) {
      MemoryTrend.of(report.steadySamples(), metric)
          .ifPresent(
              trend -> {
                boolean bytes = metric.contains("bytes");
                double unit = bytes ? MIB : 1;
                out.append(
                    String.format(
                        Locale.ROOT,
                        "%s%s: first %.2f, max %.2f, last %.2f",
                        metric,
                        bytes ? " (MiB)" : "",
                        trend.first() / unit,
                        trend.max() / unit,
                        trend.last() / unit));
                if (bytes) {
                  out.append(
                      String.format(Locale.ROOT, ", %+.3f a minute", trend.perMinute() / unit));
                }
                out.append('\n');
              });
    }
    if (report.samples().stream().noneMatch(s -> s.values().containsKey(ServerSample.RESIDENT))) {
      out.append("the server does not tell its resident memory (" + ServerSample.RESIDENT + ")\n");
    }
  }

  private void title(String text, char filler) {
    int left = Math.max(0, WIDTH - text.length()) / 2;
    int right = Math.max(0, WIDTH - text.length() - left);
    String fill = String.valueOf(filler);
    out.append(fill.repeat(left)).append(text).append(fill.repeat(right)).append('\n');
  }

  private void line(String name, double value) {
    out.append(String.format(Locale.ROOT, "%-42s %.2f%n", name, value));
  }

  private void line(String name, long value) {
    out.append(String.format(Locale.ROOT, "%-42s %d%n", name, value));
  }
}

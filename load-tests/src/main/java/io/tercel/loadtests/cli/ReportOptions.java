package io.tercel.loadtests.cli;

import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.Slo;
import io.tercel.loadtests.report.Selection;
import io.tercel.server.UserException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What is told of it. */
final class ReportOptions {
  @Option(
      names = "--goodput",
      arity = "1..*",
      split = ",",
      paramLabel = "NAME:MS",
      description =
          "Objectives in milliseconds, such as ttft:500 tpot:50 e2el:5000 (also ttfat): goodput"
              + " counts the requests that meet all.")
  List<String> goodput = List.of();

  @Option(
      names = "--percentile-metrics",
      split = ",",
      paramLabel = "NAME",
      description = "Latencies to tell: ttft,ttfat,tpot,itl,e2el (default: all).")
  List<String> metrics = List.of("ttft", "ttfat", "tpot", "itl", "e2el");

  @Option(
      names = "--metric-percentiles",
      split = ",",
      paramLabel = "P",
      description = "Percentiles of each (default: 90,99).")
  List<Double> percentiles = List.of(90.0, 99.0);

  @Option(
      names = "--label",
      paramLabel = "TEXT",
      description = "A name for the run, kept in the JSON. Default: the backend.")
  @Nullable String label;

  @Option(
      names = "--save-result",
      paramLabel = "FILE",
      description = "The result as JSON, in the schema of vllm bench serve.")
  @Nullable Path saveResult;

  @Option(
      names = "--save-detailed",
      description = "With an entry a request: lengths, times, texts, errors.")
  boolean saveDetailed;

  @Option(
      names = "--plot",
      paramLabel = "FILE",
      description = "Charts of latencies and throughput: FILE.png.")
  @Nullable Path plot;

  @Option(
      names = "--metrics",
      description = "Watch the server's /metrics: memory, KV cache, queue.")
  boolean serverMetrics;

  @Option(
      names = "--metrics-interval",
      paramLabel = "TIME",
      description = "How often (default: ${DEFAULT-VALUE}).")
  String metricsInterval = "1s";

  /** Names the first option that can't be used, so that no long run is lost at its end. */
  void check() {
    slo();
    selection();
    metricsInterval();
    writable("--save-result", saveResult);
    writable("--plot", plot);
    if (saveDetailed && saveResult == null) {
      throw new UserException("--save-detailed: needs --save-result FILE");
    }
    if (plot != null && !plot.toString().matches("(?i).*\\.png")) {
      throw new UserException("--plot: '" + plot + "'; expected a name that ends in .png");
    }
  }

  static void writable(String option, @Nullable Path file) {
    if (file == null) {
      return;
    }
    Path directory = file.toAbsolutePath().getParent();
    if (directory == null || !Files.isDirectory(directory) || !Files.isWritable(directory)) {
      throw new UserException(option + ": " + directory + " is no directory to write to");
    }
    if (Files.isDirectory(file)) {
      throw new UserException(option + ": " + file + " is a directory; give a file's name");
    }
  }

  Duration metricsInterval() {
    return Times.parse("--metrics-interval", metricsInterval);
  }

  Slo slo() {
    Map<LatencyMetric, Double> limits = new EnumMap<>(LatencyMetric.class);
    for (String pair : goodput) {
      String[] parts = pair.split(":", 2);
      LatencyMetric metric = metric(parts[0]);
      double limit = 0;
      if (parts.length == 2) {
        try {
          limit = Double.parseDouble(parts[1]);
        } catch (NumberFormatException e) {
          // said below
        }
      }
      if (metric == null || metric == LatencyMetric.ITL || !(limit > 0)) {
        throw new UserException(
            "--goodput: '"
                + pair
                + "'; expected ttft, ttfat, tpot or e2el and milliseconds, such as ttft:500");
      }
      limits.put(metric, limit);
    }
    return new Slo(limits);
  }

  Selection selection() {
    List<LatencyMetric> chosen = new ArrayList<>();
    for (String name : metrics) {
      LatencyMetric metric = metric(name);
      if (metric == null) {
        throw new UserException(
            "--percentile-metrics: no '" + name + "'; choose of ttft,ttfat,tpot,itl,e2el");
      }
      chosen.add(metric);
    }
    for (double percentile : percentiles) {
      if (!(percentile > 0 && percentile <= 100)) {
        throw new UserException(
            "--metric-percentiles: " + percentile + "; expected above 0, to 100, such as 90,99");
      }
    }
    return new Selection(chosen, percentiles);
  }

  private static @Nullable LatencyMetric metric(String key) {
    for (LatencyMetric metric : LatencyMetric.values()) {
      if (metric.key().equals(key)) {
        return metric;
      }
    }
    return null;
  }

  /** A file's name with a sweep's point in it. */
  static Path ofPoint(Path file, int concurrency) {
    String name = String.valueOf(file.getFileName());
    int dot = name.lastIndexOf('.');
    String point = "-c" + concurrency;
    String full = dot > 0 ? name.substring(0, dot) + point + name.substring(dot) : name + point;
    return file.resolveSibling(full);
  }
}

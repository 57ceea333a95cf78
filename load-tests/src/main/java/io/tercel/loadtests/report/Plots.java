package io.tercel.loadtests.report;

import io.tercel.loadtests.metrics.Latencies;
import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.Summary;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * Draws runs as PNG, all charts of a run in one picture. Nothing is drawn where nothing came back.
 */
public final class Plots {
  private static final int CDF_POINTS = 200;

  private Plots() {}

  /** Latencies as cumulative distributions, throughput and concurrency over time. */
  public static boolean run(RunReport report, Path file) throws IOException {
    Summary summary = report.summary();
    XYChart request = chart("Latency of a request", "ms", "% of requests");
    cdf(request, summary, LatencyMetric.TTFT);
    if (summary.withThinking() > 0) {
      cdf(request, summary, LatencyMetric.TTFAT);
    }
    cdf(request, summary, LatencyMetric.E2EL);
    XYChart token = chart("Latency of a token", "ms", "%");
    cdf(token, summary, LatencyMetric.TPOT);
    cdf(token, summary, LatencyMetric.ITL);
    XYChart throughput = chart("Output tokens", "s", "tokens a second");
    overTime(throughput, "output", report.series().tokens());
    XYChart concurrency = chart("Requests under way", "s", "requests");
    overTime(concurrency, "requests", report.series().concurrency());
    return save(List.of(request, token, throughput, concurrency), file);
  }

  /** Throughput against latency, a point a concurrency. */
  public static boolean sweep(List<RunReport> points, Path file) throws IOException {
    XYChart ttft = chart("TTFT against throughput", "output tokens a second", "ms");
    XYChart tpot = chart("TPOT against throughput", "output tokens a second", "ms");
    XYChart throughput = chart("Throughput", "concurrency", "output tokens a second");
    List<Summary> summaries =
        points.stream().map(point -> point.steady().orElse(point.summary())).toList();
    double[] tokens = summaries.stream().mapToDouble(Summary::outputThroughput).toArray();
    double[] clients = points.stream().mapToDouble(p -> p.info().maxConcurrency()).toArray();
    againstThroughput(ttft, summaries, tokens, LatencyMetric.TTFT);
    againstThroughput(tpot, summaries, tokens, LatencyMetric.TPOT);
    throughput.addSeries("output", clients, tokens);
    return save(List.of(ttft, tpot, throughput), file);
  }

  private static void againstThroughput(
      XYChart chart, List<Summary> points, double[] tokens, LatencyMetric metric) {
    for (double percentile : new double[] {50, 99}) {
      double[] values =
          points.stream()
              .mapToDouble(point -> point.latencies(metric).percentileMs(percentile))
              .toArray();
      chart.addSeries(Selection.name(percentile), tokens, values);
    }
  }

  private static void cdf(XYChart chart, Summary summary, LatencyMetric metric) {
    Latencies latencies = summary.latencies(metric);
    if (latencies.count() == 0) {
      return;
    }
    double[] values = new double[CDF_POINTS];
    double[] shares = new double[CDF_POINTS];
    for (int i = 0; i < CDF_POINTS; i++) {
      shares[i] = 100.0 * (i + 1) / CDF_POINTS;
      values[i] = latencies.percentileMs(shares[i]);
    }
    chart.getStyler().setYAxisMax(100.0);
    chart.addSeries(metric.name(), values, shares).setMarker(SeriesMarkers.NONE);
  }

  private static void overTime(XYChart chart, String name, double[] seconds) {
    if (seconds.length == 0) {
      return;
    }
    double[] times = new double[seconds.length];
    for (int i = 0; i < times.length; i++) {
      times[i] = i + 0.5;
    }
    chart.addSeries(name, times, seconds).setMarker(SeriesMarkers.NONE);
  }

  private static XYChart chart(String title, String x, String y) {
    System.setProperty("java.awt.headless", "true");
    XYChart chart =
        new XYChartBuilder()
            .width(800)
            .height(450)
            .title(title)
            .xAxisTitle(x)
            .yAxisTitle(y)
            .build();
    chart.getStyler().setYAxisMin(0.0).setYAxisTickMarkSpacingHint(50);
    chart.getStyler().setDefaultSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Line);
    return chart;
  }

  private static boolean save(List<XYChart> all, Path file) throws IOException {
    // an empty chart cannot be drawn
    List<XYChart> charts = all.stream().filter(c -> !c.getSeriesCollection().isEmpty()).toList();
    if (charts.isEmpty()) {
      return false;
    }
    try (OutputStream out = Files.newOutputStream(file)) {
      int columns = charts.size() == 4 ? 2 : 1; // every place must be taken
      int rows = charts.size() / columns;
      BitmapEncoder.saveBitmap(charts, rows, columns, out, BitmapFormat.PNG);
    }
    return true;
  }
}

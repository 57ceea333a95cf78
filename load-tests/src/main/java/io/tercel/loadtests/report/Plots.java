package io.tercel.loadtests.report;

import io.tercel.loadtests.metrics.Latencies;
import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.Summary;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.io.OutputStream;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * Draws runs as PNG, all charts of a run in one picture: white, latencies on a logarithmic axis by
 * percentile. Nothing is drawn where nothing came back.
 */
public final class Plots {
  private static final int POINTS = 250;

  /** By how much places differ from even ones: with those the library puts ticks at data alone. */
  private static final double UNEVEN = 0.01;

  /** Where less is drawn too, such as between tokens that come together: 0 has no logarithm. */
  private static final double LEAST_MS = 0.1;

  /** Told apart by those who are colour-blind too (Okabe and Ito). */
  private static final Color[] COLORS = {
    new Color(0, 114, 178), new Color(213, 94, 0), new Color(0, 158, 115)
  };

  private static final Color GRID = new Color(225, 225, 225);
  private static final Color TEXT = new Color(60, 60, 60);

  private Plots() {}

  /** Latencies by percentile, throughput and concurrency over time. */
  public static boolean run(RunReport report, Path file) throws IOException {
    Summary summary = report.summary();
    XYChart request = percentiles("Latency of a request, ms");
    byPercentile(request, summary, LatencyMetric.TTFT);
    if (summary.withThinking() > 0) {
      byPercentile(request, summary, LatencyMetric.TTFAT);
    }
    byPercentile(request, summary, LatencyMetric.E2EL);
    XYChart token = percentiles("Latency of a token, ms");
    byPercentile(token, summary, LatencyMetric.TPOT);
    byPercentile(token, summary, LatencyMetric.ITL);
    XYChart throughput = chart("Output tokens a second", "seconds");
    overTime(throughput, "output", report.series().tokens());
    XYChart concurrency = chart("Requests under way", "seconds");
    overTime(concurrency, "requests", report.series().concurrency());
    return save(List.of(request, token, throughput, concurrency), file);
  }

  /** Throughput against latency, a point a concurrency. */
  public static boolean sweep(List<RunReport> points, Path file) throws IOException {
    XYChart ttft = chart("TTFT against throughput, ms", "output tokens a second");
    XYChart tpot = chart("TPOT against throughput, ms", "output tokens a second");
    XYChart throughput = chart("Output tokens a second", "concurrency");
    List<Summary> summaries = points.stream().map(RunReport::steadyOrAll).toList();
    double[] tokens = summaries.stream().mapToDouble(Summary::outputThroughput).toArray();
    double[] clients = points.stream().mapToDouble(p -> p.info().maxConcurrency()).toArray();
    againstThroughput(ttft, summaries, tokens, LatencyMetric.TTFT);
    againstThroughput(tpot, summaries, tokens, LatencyMetric.TPOT);
    throughput.addSeries("output", clients, tokens);
    throughput.getStyler().setLegendVisible(false);
    return save(List.of(ttft, tpot, throughput), file);
  }

  private static void againstThroughput(
      XYChart chart, List<Summary> points, double[] tokens, LatencyMetric metric) {
    for (double percentile : new double[] {50, 99}) {
      double[] values =
          points.stream()
              .mapToDouble(
                  point -> Math.max(LEAST_MS, point.latencies(metric).percentileMs(percentile)))
              .toArray();
      chart.addSeries(Selection.name(percentile), tokens, values);
    }
    logarithmic(chart);
  }

  /** Up to where its figures say something: the slowest of n is at most the percentile 1 - 1/n. */
  private static void byPercentile(XYChart chart, Summary summary, LatencyMetric metric) {
    Latencies latencies = summary.latencies(metric);
    if (latencies.count() == 0) {
      return;
    }
    double last = 100.0 * (1 - 1.0 / latencies.count());
    double[] places = new double[POINTS];
    double[] values = new double[POINTS];
    int count = 0;
    for (int i = 0; i < POINTS; i++) {
      double place = PercentileAxis.END * Math.pow((double) i / (POINTS - 1), 1 + UNEVEN);
      double percentile = PercentileAxis.percentile(place);
      if (i > 0 && percentile > last) {
        break;
      }
      places[count] = place;
      values[count++] = Math.max(LEAST_MS, latencies.percentileMs(percentile));
    }
    chart
        .addSeries(metric.name(), Arrays.copyOf(places, count), Arrays.copyOf(values, count))
        .setMarker(count == 1 ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE);
    logarithmic(chart);
  }

  /** From a power of ten to another: the only places of a logarithmic axis with a label. */
  private static void logarithmic(XYChart chart) {
    double least = Double.POSITIVE_INFINITY;
    double most = 0;
    for (XYSeries series : chart.getSeriesCollection()) {
      least = Math.min(least, Arrays.stream(series.getYData()).min().orElse(least));
      most = Math.max(most, Arrays.stream(series.getYData()).max().orElse(most));
    }
    double low = Math.floor(Math.log10(least));
    double high = Math.max(low + 1, Math.ceil(Math.log10(most)));
    chart
        .getStyler()
        .setYAxisLogarithmic(true)
        .setYAxisMin(Math.pow(10, low))
        .setYAxisMax(Math.pow(10, high))
        .setYAxisTickLabelsFormattingFunction(Plots::power);
  }

  /** A power of ten as it is written; empty for what is none. */
  private static String power(double value) {
    double exponent = Math.log10(value);
    boolean isPower = Math.abs(exponent - Math.rint(exponent)) < 1e-6;
    return isPower ? BigDecimal.valueOf(value).stripTrailingZeros().toPlainString() : "";
  }

  private static void overTime(XYChart chart, String name, double[] seconds) {
    if (seconds.length == 0) {
      return;
    }
    double[] times = new double[seconds.length];
    for (int i = 0; i < times.length; i++) {
      times[i] = i % 2 == 0 ? i : i + UNEVEN;
    }
    chart.addSeries(name, times, seconds).setMarker(SeriesMarkers.NONE);
    chart.getStyler().setLegendVisible(false);
    chart.getStyler().setYAxisMin(0.0);
  }

  private static XYChart percentiles(String title) {
    XYChart chart = chart(title, "% of them are no slower");
    chart
        .getStyler()
        .setXAxisMin(0.0)
        .setXAxisMax(PercentileAxis.END)
        .setXAxisTickMarkSpacingHint(120)
        .setXAxisTickLabelsFormattingFunction(PercentileAxis::label);
    return chart;
  }

  private static XYChart chart(String title, String x) {
    System.setProperty("java.awt.headless", "true");
    XYChart chart = new XYChartBuilder().width(800).height(450).title(title).xAxisTitle(x).build();
    XYStyler styler = chart.getStyler();
    styler.setDefaultSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Line);
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setPlotBackgroundColor(Color.WHITE);
    styler.setPlotBorderVisible(false);
    styler.setPlotGridLinesColor(GRID);
    styler.setPlotGridVerticalLinesVisible(true);
    styler.setAxisTicksLineVisible(false);
    styler.setAxisTicksMarksVisible(false);
    styler.setChartTitleBoxVisible(false);
    styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 16));
    styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    styler.setAxisTickLabelsColor(TEXT);
    styler.setChartFontColor(TEXT);
    styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    styler.setYAxisTickMarkSpacingHint(60);
    styler.setXAxisTickMarkSpacingHint(90);
    styler.setSeriesColors(COLORS);
    styler.setLegendPosition(LegendPosition.InsideNW);
    styler.setLegendBorderColor(Color.WHITE);
    styler.setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    styler.setChartPadding(14);
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

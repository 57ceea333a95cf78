package io.tercel.trainer.ptq;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Draws a report: each decoder layer's error, plain rounding beside it, and its time. */
final class QuantizeChart {
  static final String FILE = "quantize_report.png";
  private static final Logger LOGGER = LoggerFactory.getLogger(QuantizeChart.class);

  private QuantizeChart() {}

  /** Where it cannot be drawn, there is none. */
  static void draw(LayerReport report, Path file) throws IOException {
    try {
      System.setProperty("java.awt.headless", "true");
      List<XYChart> charts = new ArrayList<>();
      String errors = report.errors();
      if (errors != null) {
        charts.add(errors(report, errors));
      }
      charts.add(seconds(report));
      BitmapEncoder.saveBitmap(charts, charts.size(), 1, file.toString(), BitmapFormat.PNG);
    } catch (RuntimeException | LinkageError e) {
      LOGGER.warn("no chart: {}", e.toString());
    }
  }

  private static XYChart errors(LayerReport report, String title) {
    XYChart chart = chart(title, "%");
    series(chart, report.method(), report, i -> 100 * report.layerError(i, false));
    if (report.hasRtn()) {
      series(chart, "rtn", report, i -> 100 * report.layerError(i, true));
    }
    return chart;
  }

  private static XYChart seconds(LayerReport report) {
    XYChart chart = chart("Time of each decoder layer", "s");
    series(chart, "seconds", report, report::layerSeconds);
    return chart;
  }

  private static XYChart chart(String title, String y) {
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(400)
            .title(title)
            .xAxisTitle("layer")
            .yAxisTitle(y)
            .build();
    chart.getStyler().setYAxisMin(0.0);
    return chart;
  }

  private static void series(
      XYChart chart, String name, LayerReport report, IntToDoubleFunction value) {
    int[] layers = IntStream.range(0, report.numLayers()).toArray();
    double[] values = IntStream.of(layers).mapToDouble(value).toArray();
    double[] x = IntStream.of(layers).asDoubleStream().toArray();
    chart.addSeries(name, x, values).setMarker(SeriesMarkers.CIRCLE);
  }
}

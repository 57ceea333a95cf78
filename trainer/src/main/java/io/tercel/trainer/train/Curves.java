package io.tercel.trainer.train;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws a run's log: {@code loss.png}, {@code accuracy.png}. */
final class Curves {
  private Curves() {}

  static void draw(TrainingLog log, Path directory) throws IOException {
    System.setProperty("java.awt.headless", "true");
    List<JsonNode> lines = log.lines();
    XYChart loss = chart("Loss per token", "loss");
    loss.getStyler().setYAxisLogarithmic(true);
    series(loss, "training", lines, "loss");
    series(loss, "held out", lines, "held_out_loss");
    XYChart accuracy = chart("Held-out responses that match word for word", "fraction");
    accuracy.getStyler().setYAxisMin(0.0).setYAxisMax(1.0);
    series(accuracy, "all", lines, "held_out_exact");
    save(loss, directory.resolve("loss"));
    save(accuracy, directory.resolve("accuracy"));
  }

  private static XYChart chart(String title, String y) {
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(500)
            .title(title)
            .xAxisTitle("step")
            .yAxisTitle(y)
            .build();
    chart
        .getStyler()
        .setDefaultSeriesRenderStyle(org.knowm.xchart.XYSeries.XYSeriesRenderStyle.Line);
    return chart;
  }

  private static void series(XYChart chart, String name, List<JsonNode> lines, String field) {
    List<Integer> steps = new ArrayList<>();
    List<Double> values = new ArrayList<>();
    for (JsonNode line : lines) {
      if (line.has(field)) {
        steps.add(line.get("step").asInt());
        // a logarithmic axis cannot show 0
        values.add(Math.max(1e-6, line.get(field).asDouble()));
      }
    }
    if (!steps.isEmpty()) {
      chart.addSeries(name, steps, values).setMarker(SeriesMarkers.NONE);
    }
  }

  private static void save(XYChart chart, Path file) throws IOException {
    BitmapEncoder.saveBitmap(chart, file.toString(), BitmapFormat.PNG);
  }
}

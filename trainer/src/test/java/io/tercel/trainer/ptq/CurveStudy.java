package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.trainer.run.RunLog;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** One field of several runs' logs in one picture, and as JSON lines beside it. */
final class CurveStudy {
  private CurveStudy() {}

  /**
   * Draws.
   *
   * @param out picture and lines, without their {@code .png} and {@code .jsonl}
   * @param window values to average, for what is noisy from step to step
   * @param runs {@code LABEL=LOG} each
   */
  static void draw(Path out, String field, String title, int window, List<String> runs)
      throws IOException {
    System.setProperty("java.awt.headless", "true");
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(500)
            .title(title)
            .xAxisTitle("step")
            .yAxisTitle(field.replace('_', ' '))
            .build();
    chart
        .getStyler()
        .setDefaultSeriesRenderStyle(XYSeriesRenderStyle.Line)
        .setYAxisLogarithmic(field.equals("loss"))
        .setChartBackgroundColor(Color.WHITE);
    StringBuilder lines = new StringBuilder();
    for (String run : runs) {
      int equals = run.indexOf('=');
      String label = run.substring(0, equals);
      List<Integer> steps = new ArrayList<>();
      List<Double> values = new ArrayList<>();
      for (JsonNode line : RunLog.read(Path.of(run.substring(equals + 1)))) {
        if (line.path(field).isNumber()) {
          steps.add(line.get("step").asInt());
          values.add(line.get(field).asDouble());
          lines.append(RunLog.line(steps.getLast()).put("run", label).put(field, values.getLast()));
          lines.append('\n');
        }
      }
      chart.addSeries(label, steps, averages(values, window)).setMarker(SeriesMarkers.NONE);
    }
    Files.writeString(Path.of(out + ".jsonl"), lines);
    BitmapEncoder.saveBitmap(chart, out.toString(), BitmapFormat.PNG);
  }

  /** Of each value and those before it. */
  private static List<Double> averages(List<Double> values, int window) {
    List<Double> averages = new ArrayList<>();
    for (int i = 0; i < values.size(); i++) {
      List<Double> near = values.subList(Math.max(0, i + 1 - window), i + 1);
      averages.add(near.stream().mapToDouble(d -> d).average().orElseThrow());
    }
    return averages;
  }
}

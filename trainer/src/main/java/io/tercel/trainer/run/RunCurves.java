package io.tercel.trainer.run;

import com.fasterxml.jackson.databind.JsonNode;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws curves of a run's log as PNG, white, without more than is read. */
public final class RunCurves {
  private RunCurves() {}

  /**
   * A picture.
   *
   * @param name of the file, without {@code .png}
   * @param logarithmic whether the values' axis is
   */
  public record Picture(
      String name, String title, String axis, boolean logarithmic, List<Curve> curves) {
    public Picture {
      curves = List.copyOf(curves);
    }
  }

  /**
   * One curve.
   *
   * @param field of the log's lines
   */
  public record Curve(String field, String label) {}

  /**
   * A curve of some run's log.
   *
   * @param field of the log's lines
   */
  public record Plotted(String label, Path log, String field) {}

  /**
   * Draws curves of several runs in one picture, whatever there is of them.
   *
   * @param file without {@code .png}
   */
  public static void compare(Path file, String title, String axis, List<Plotted> curves)
      throws IOException {
    System.setProperty("java.awt.headless", "true");
    XYChart chart = chart(new Picture(file.toString(), title, axis, false, List.of()));
    for (Plotted curve : curves) {
      series(chart, new Curve(curve.field, curve.label), RunLog.read(curve.log), false);
    }
    BitmapEncoder.saveBitmap(chart, file.toString(), BitmapFormat.PNG);
  }

  /** Draws those that there is anything for. */
  public static void draw(RunLog log, Path directory, List<Picture> pictures) throws IOException {
    System.setProperty("java.awt.headless", "true");
    List<JsonNode> lines = log.lines();
    for (Picture picture : pictures) {
      XYChart chart = chart(picture);
      int drawn = 0;
      for (Curve curve : picture.curves) {
        drawn += series(chart, curve, lines, picture.logarithmic);
      }
      if (drawn > 0) {
        BitmapEncoder.saveBitmap(
            chart, directory.resolve(picture.name).toString(), BitmapFormat.PNG);
      }
    }
  }

  private static XYChart chart(Picture picture) {
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(500)
            .title(picture.title)
            .xAxisTitle("step")
            .yAxisTitle(picture.axis)
            .build();
    chart
        .getStyler()
        .setDefaultSeriesRenderStyle(XYSeriesRenderStyle.Line)
        .setYAxisLogarithmic(picture.logarithmic)
        .setChartBackgroundColor(Color.WHITE);
    return chart;
  }

  /** How many points it has. */
  private static int series(XYChart chart, Curve curve, List<JsonNode> lines, boolean logarithmic) {
    List<Integer> steps = new ArrayList<>();
    List<Double> values = new ArrayList<>();
    for (JsonNode line : lines) {
      if (line.path(curve.field).isNumber()) {
        double value = line.get(curve.field).asDouble();
        steps.add(line.get("step").asInt());
        // a logarithmic axis cannot show 0
        values.add(logarithmic ? Math.max(1e-6, value) : value);
      }
    }
    if (!steps.isEmpty()) {
      chart.addSeries(curve.label, steps, values).setMarker(SeriesMarkers.NONE);
    }
    return steps.size();
  }
}

package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * How far each layer in 4 bits is from what it was, plain rounding beside it, for people (a table)
 * and for programs (JSON).
 */
public final class W4Report {
  /**
   * One decoder layer, by itself: on inputs in full precision, with weights, activations, keys and
   * values rounded.
   *
   * @param error |y^ - y| / |y - x|, where y - x is what the layer adds to the stream; NaN without
   *     calibration
   * @param rtnError the same of plain rounding
   * @param seconds that it took
   */
  public record Line(int layer, double error, double rtnError, double seconds) {}

  private final W4Options options;
  private final @Nullable Calibration calibration;
  private final List<Line> lines = new ArrayList<>();

  W4Report(W4Options options, @Nullable Calibration calibration) {
    this.options = options;
    this.calibration = calibration;
  }

  void add(Line line) {
    lines.add(line);
  }

  /** The decoder layers in order. */
  public List<Line> lines() {
    return List.copyOf(lines);
  }

  /** Of all layers. */
  public double seconds() {
    return lines.stream().mapToDouble(Line::seconds).sum();
  }

  /** A line a decoder layer. */
  public String toTable() {
    StringBuilder table =
        new StringBuilder("error of each layer by itself, % of what it adds to the stream\n");
    String method = options.method().name().toLowerCase(Locale.ROOT);
    table.append("layer%12s%12s   seconds\n".formatted(method, "rtn"));
    for (Line line : lines) {
      table.append(
          String.format(
              Locale.ROOT,
              "%5d%12.2f%12.2f%10.1f%n",
              line.layer(),
              100 * line.error(),
              100 * line.rtnError(),
              line.seconds()));
    }
    return table.toString();
  }

  /** Settings, calibration, time, and every layer. */
  public ObjectNode toJson() {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("method", options.method().name().toLowerCase(Locale.ROOT)).put("format", "w4a4kv4");
    switch (options.method()) {
      case RTN -> {}
      case QUAROT -> json.put("act_order", options.actOrder()).put("damping", options.damping());
      case FLATQUANT ->
          json.put("epochs", options.flat().epochs())
              .put("batch", options.flat().batch())
              .put("rate", options.flat().rate())
              .put("seed", options.flat().seed());
    }
    if (calibration != null) {
      json.put("calibration_sequences", calibration.sequences().size());
      json.put("calibration_tokens", calibration.numTokens());
    }
    json.put("seconds", Math.round(seconds() * 10) / 10.0);
    ArrayNode layers = json.putArray("layers");
    for (Line line : lines) {
      ObjectNode node = layers.addObject().put("layer", line.layer());
      if (!Double.isNaN(line.error())) {
        node.put("error", line.error()).put("rtn_error", line.rtnError());
      }
      node.put("seconds", Math.round(line.seconds() * 10) / 10.0);
    }
    return json;
  }
}

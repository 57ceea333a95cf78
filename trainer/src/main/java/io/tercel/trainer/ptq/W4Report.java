package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.JsonNode;
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
public final class W4Report implements LayerReport {
  /**
   * One decoder layer, by itself: on inputs in full precision, with weights, activations, keys and
   * values rounded.
   *
   * @param error |y^ - y| / |y - x|, where y - x is what the layer adds to the stream; NaN without
   *     calibration
   * @param rtnError the same of plain rounding
   * @param bytes in the file
   * @param seconds that it took
   */
  public record Line(int layer, double error, double rtnError, Bytes bytes, double seconds) {

    ObjectNode toJson() {
      ObjectNode node = new ObjectMapper().createObjectNode().put("layer", layer);
      if (!Double.isNaN(error)) {
        node.put("error", error).put("rtn_error", rtnError);
      }
      node.put("linear_bytes", bytes.linears()).put("transform_bytes", bytes.transforms());
      return node.put("seconds", Math.round(seconds * 1000) / 1000.0);
    }

    static Line of(JsonNode node) {
      return new Line(
          node.get("layer").asInt(),
          node.path("error").asDouble(Double.NaN),
          node.path("rtn_error").asDouble(Double.NaN),
          new Bytes(node.get("linear_bytes").asLong(), node.get("transform_bytes").asLong()),
          node.get("seconds").asDouble());
    }
  }

  /**
   * What a layer takes.
   *
   * @param linears codes and scales
   * @param transforms what happens to activations, shares of ranges among it
   */
  public record Bytes(long linears, long transforms) {}

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

  /** Of all codes and scales in the file. */
  public long linearBytes() {
    return lines.stream().mapToLong(l -> l.bytes().linears()).sum();
  }

  @Override
  public String method() {
    return options.method().label();
  }

  @Override
  public int numLayers() {
    return lines.size();
  }

  @Override
  public @Nullable String errors() {
    return calibration == null
        ? null
        : "Error of each decoder layer by itself, of what it adds to the stream";
  }

  @Override
  public boolean hasRtn() {
    return calibration != null && options.method() != W4Options.Method.RTN;
  }

  @Override
  public double layerError(int layer, boolean rtn) {
    Line line = lines.get(layer);
    return rtn ? line.rtnError() : line.error();
  }

  @Override
  public double layerSeconds(int layer) {
    return lines.get(layer).seconds();
  }

  /** A line a decoder layer. */
  public String toTable() {
    StringBuilder table =
        new StringBuilder("error of each layer by itself, % of what it adds to the stream\n");
    table.append("layer%12s%12s   seconds\n".formatted(method(), "rtn"));
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

  /** Settings, calibration, time, size, and every layer. */
  public ObjectNode toJson() {
    ObjectNode json = options.toJson();
    json.set("calibration", Calibration.describe(calibration));
    json.put("seconds", Math.round(seconds() * 10) / 10.0).put("linear_bytes", linearBytes());
    json.put("transform_bytes", lines.stream().mapToLong(l -> l.bytes().transforms()).sum());
    ArrayNode layers = json.putArray("layers");
    lines.forEach(line -> layers.add(line.toJson()));
    return json;
  }
}

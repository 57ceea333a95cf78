package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What quantization did to each layer, for people (a table) and for programs (JSON). */
public final class QuantizeReport implements LayerReport {
  static final String FILE = "quantize_report.json";
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * One linear layer.
   *
   * @param layer index of its decoder layer
   * @param name {@code q_proj} and the like
   * @param bytes in the file
   * @param seconds that it took
   * @param details of the method: {@code damping} that the Hessian needed, {@code dead_inputs} that
   *     were zero in all of the calibration, AWQ's {@code ratio}
   */
  public record Line(
      int layer,
      String name,
      Errors errors,
      long bytes,
      double seconds,
      Map<String, Number> details) {

    ObjectNode toJson() {
      ObjectNode node = JSON.createObjectNode().put("layer", layer).put("name", name);
      node.put("weight_error", errors.weight());
      if (!Double.isNaN(errors.output())) {
        node.put("output_error", errors.output()).put("rtn_output_error", errors.rtnOutput());
      }
      details.forEach((key, value) -> node.put(key, value.doubleValue()));
      return node.put("bytes", bytes).put("seconds", Math.round(seconds * 1000) / 1000.0);
    }

    static Line of(JsonNode node) {
      Map<String, Number> details = new LinkedHashMap<>();
      for (String key : List.of("damping", "dead_inputs", "ratio")) {
        if (node.has(key)) {
          details.put(key, node.get(key).asDouble());
        }
      }
      return new Line(
          node.get("layer").asInt(),
          node.get("name").asText(),
          new Errors(
              node.get("weight_error").asDouble(),
              node.path("output_error").asDouble(Double.NaN),
              node.path("rtn_output_error").asDouble(Double.NaN)),
          node.get("bytes").asLong(),
          node.get("seconds").asDouble(),
          details);
    }
  }

  /**
   * How wrong a linear is.
   *
   * @param weight |W^ - W| / |W|, Frobenius, of the weights that were rounded
   * @param output the same of the outputs, on a sample of the calibration that has passed through
   *     the quantized layers before; NaN without calibration
   * @param rtnOutput the same where the weights are rounded to nearest, with no clip search
   */
  public record Errors(double weight, double output, double rtnOutput) {}

  private final QuantizeOptions options;
  private final @Nullable Calibration calibration;
  private final List<Line> lines = new ArrayList<>();

  QuantizeReport(QuantizeOptions options, @Nullable Calibration calibration) {
    this.options = options;
    this.calibration = calibration;
  }

  /** What the journal keeps of a layer. */
  static ObjectNode linears(List<Line> lines) {
    ObjectNode node = JSON.createObjectNode();
    ArrayNode array = node.putArray("linears");
    lines.forEach(line -> array.add(line.toJson()));
    return node;
  }

  /** What it kept. */
  static List<Line> linears(JsonNode node) {
    List<Line> lines = new ArrayList<>();
    node.get("linears").forEach(line -> lines.add(Line.of(line)));
    return lines;
  }

  void add(List<Line> linears) {
    lines.addAll(linears);
  }

  /** All linear layers, in the order of quantization. */
  public List<Line> lines() {
    return List.copyOf(lines);
  }

  /** That all layers took, in whatever run. */
  public double seconds() {
    return lines.stream().mapToDouble(Line::seconds).sum();
  }

  /** Of all quantized linears in the file. */
  public long bytes() {
    return lines.stream().mapToLong(Line::bytes).sum();
  }

  @Override
  public String method() {
    return options.method().label();
  }

  @Override
  public String errors() {
    return "Relative error of each decoder layer's " + (hasOutputs() ? "outputs" : "weights");
  }

  @Override
  public boolean hasRtn() {
    return hasOutputs() && options.method() != QuantizeOptions.Method.RTN;
  }

  /** Whether outputs were observed. */
  boolean hasOutputs() {
    return lines.stream().anyMatch(l -> !Double.isNaN(l.errors().output()));
  }

  /** A line a decoder layer: relative output errors in percent, or weight errors if unmeasured. */
  public String toTable() {
    List<String> names =
        List.of("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj");
    boolean outputs = hasOutputs();
    StringBuilder table =
        new StringBuilder(
            outputs
                ? "relative error of each layer's output, %; all: root mean square; rtn: the same"
                    + " of plain rounding\n"
                : "relative error of each layer's weights, %\n");
    table.append("layer");
    names.forEach(n -> table.append("%10s".formatted(n.replace("_proj", ""))));
    table.append(outputs ? "%10s%10s   seconds%n".formatted("all", "rtn") : "   seconds\n");
    for (int i = 0; i < numLayers(); i++) {
      table.append("%5d".formatted(i));
      for (String name : names) {
        for (Line line : lines) {
          if (line.layer() == i && line.name().equals(name)) {
            table.append(percent(outputs ? line.errors().output() : line.errors().weight()));
          }
        }
      }
      if (outputs) {
        table.append(percent(layerError(i, false))).append(percent(layerError(i, true)));
      }
      table.append(String.format(Locale.ROOT, "%10.1f%n", layerSeconds(i)));
    }
    return table.toString();
  }

  private static String percent(double error) {
    return String.format(Locale.ROOT, "%10.2f", 100 * error);
  }

  @Override
  public int numLayers() {
    return lines.stream().mapToInt(Line::layer).max().orElse(-1) + 1;
  }

  /** Root mean square of a decoder layer's output errors, or weight errors if unmeasured. */
  @Override
  public double layerError(int layer, boolean rtn) {
    boolean outputs = hasOutputs();
    return Math.sqrt(
        lines.stream()
            .filter(l -> l.layer() == layer)
            .map(Line::errors)
            .mapToDouble(e -> outputs ? rtn ? e.rtnOutput() : e.output() : e.weight())
            .map(e -> e * e)
            .average()
            .orElse(Double.NaN));
  }

  @Override
  public double layerSeconds(int layer) {
    return lines.stream().filter(l -> l.layer() == layer).mapToDouble(Line::seconds).sum();
  }

  /** Settings, calibration, time, size, and every linear layer. */
  public ObjectNode toJson() {
    ObjectNode json = options.toJson();
    json.set("calibration", Calibration.describe(calibration));
    json.put("seconds", Math.round(seconds() * 10) / 10.0).put("linear_bytes", bytes());
    ArrayNode layers = json.putArray("layers");
    for (int i = 0; i < numLayers(); i++) {
      ObjectNode node = layers.addObject().put("layer", i);
      node.put(hasOutputs() ? "output_error" : "weight_error", layerError(i, false));
      if (hasOutputs()) {
        node.put("rtn_output_error", layerError(i, true));
      }
      node.put("seconds", Math.round(layerSeconds(i) * 1000) / 1000.0);
    }
    ArrayNode linears = json.putArray("linears");
    lines.forEach(line -> linears.add(line.toJson()));
    return json;
  }
}

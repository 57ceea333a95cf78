package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What quantization did to each layer, for people (a table) and for programs (JSON). */
public final class QuantizeReport {

  /**
   * One linear layer.
   *
   * @param layer index of its decoder layer
   * @param name {@code q_proj} and the like
   * @param weightError |W^ - W| / |W|, Frobenius
   * @param outputError the same of the outputs, on a sample of the calibration that has passed
   *     through the quantized layers before; NaN without calibration
   * @param damping that the Hessian needed, or NaN
   * @param deadInputs inputs that were zero in all of the calibration
   */
  public record Line(
      int layer,
      String name,
      double weightError,
      double outputError,
      double damping,
      int deadInputs) {}

  private final QuantizeOptions options;
  private final int sequences;
  private final long tokens;
  private final List<Line> lines = new ArrayList<>();
  private double seconds;

  QuantizeReport(QuantizeOptions options, @Nullable Calibration calibration) {
    this.options = options;
    this.sequences = calibration == null ? 0 : calibration.sequences().size();
    this.tokens = calibration == null ? 0 : calibration.numTokens();
  }

  void add(Line line) {
    lines.add(line);
  }

  void took(double elapsed) {
    seconds = elapsed;
  }

  /** All linear layers, in the order of quantization. */
  public List<Line> lines() {
    return List.copyOf(lines);
  }

  /** A line a decoder layer: relative output errors in percent, or weight errors if unmeasured. */
  public String toTable() {
    List<String> names =
        List.of("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj");
    boolean outputs = lines.stream().anyMatch(l -> !Double.isNaN(l.outputError()));
    StringBuilder table =
        new StringBuilder(
            outputs
                ? "relative error of each layer's output, %\n"
                : "relative error of each layer's weights, %\n");
    table.append("layer");
    names.forEach(n -> table.append("%10s".formatted(n.replace("_proj", ""))));
    table.append('\n');
    int layers = lines.stream().mapToInt(Line::layer).max().orElse(-1) + 1;
    for (int i = 0; i < layers; i++) {
      table.append("%5d".formatted(i));
      for (String name : names) {
        for (Line line : lines) {
          if (line.layer() == i && line.name().equals(name)) {
            double error = outputs ? line.outputError() : line.weightError();
            table.append(String.format(Locale.ROOT, "%10.2f", 100 * error));
          }
        }
      }
      table.append('\n');
    }
    return table.toString();
  }

  /** Settings, calibration, time, and every linear layer. */
  public ObjectNode toJson() {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("method", options.method().name().toLowerCase(Locale.ROOT)).put("format", "w3g128");
    json.put("sym", options.symmetric()).put("mse", options.clip());
    if (options.method() == QuantizeOptions.Method.GPTQ) {
      json.put("act_order", options.actOrder()).put("static_groups", options.staticGroups());
      json.put("damping", options.damping());
    }
    json.put("calibration_sequences", sequences).put("calibration_tokens", tokens);
    json.put("seconds", Math.round(seconds * 10) / 10.0);
    ArrayNode layers = json.putArray("linears");
    for (Line line : lines) {
      ObjectNode node = layers.addObject().put("layer", line.layer()).put("name", line.name());
      node.put("weight_error", line.weightError());
      putIfNumber(node, "output_error", line.outputError());
      putIfNumber(node, "damping", line.damping());
      node.put("dead_inputs", line.deadInputs());
    }
    return json;
  }

  private static void putIfNumber(ObjectNode node, String field, double value) {
    if (!Double.isNaN(value)) {
      node.put(field, value);
    }
  }
}

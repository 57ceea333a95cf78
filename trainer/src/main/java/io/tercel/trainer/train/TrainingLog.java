package io.tercel.trainer.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** The run's record, a JSON object a line; a resumed run drops the lines beyond its checkpoint. */
final class TrainingLog {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;

  private TrainingLog(Path file) {
    this.file = file;
  }

  /** Opens a log, keeping the lines of steps up to {@code stepsDone}. */
  static TrainingLog open(Path file, int stepsDone) throws IOException {
    StringBuilder kept = new StringBuilder();
    for (JsonNode line : Files.exists(file) ? read(file) : List.<JsonNode>of()) {
      if (line.path("step").asInt() <= stepsDone) {
        kept.append(line).append('\n');
      }
    }
    AtomicFile.write(file, kept.toString());
    return new TrainingLog(file);
  }

  void step(int step, double loss, double rate, double norm, long tokens, double tokensPerSecond)
      throws IOException {
    ObjectNode line = JSON.createObjectNode().put("step", step).put("loss", loss);
    line.put("lr", rate).put("gradient_norm", norm).put("tokens", tokens);
    append(line.put("tokens_per_second", Math.round(tokensPerSecond)));
  }

  void evaluation(int step, Evaluation evaluation) throws IOException {
    ObjectNode line = JSON.createObjectNode().put("step", step);
    line.put("held_out_loss", evaluation.loss()).put("held_out_exact", evaluation.accuracy());
    ObjectNode families = line.putObject("families");
    new java.util.TreeMap<>(evaluation.byFamily()).forEach(families::put);
    append(line);
  }

  private void append(ObjectNode line) throws IOException {
    Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }

  /** All whole lines; a last one that was cut short is left out. */
  List<JsonNode> lines() throws IOException {
    return read(file);
  }

  /** All whole lines of a log. */
  static List<JsonNode> read(Path file) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    String text = Files.readString(file);
    for (String line : text.substring(0, text.lastIndexOf('\n') + 1).lines().toList()) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }
}

package io.tercel.trainer.run;

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
public final class RunLog {
  /** Its name in a run's folder. */
  public static final String FILE = "log.jsonl";

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;

  private RunLog(Path file) {
    this.file = file;
  }

  /** Opens a log, keeping the lines of steps up to {@code stepsDone}. */
  public static RunLog open(Path file, int stepsDone) throws IOException {
    StringBuilder kept = new StringBuilder();
    for (JsonNode line : Files.exists(file) ? read(file) : List.<JsonNode>of()) {
      if (line.path("step").asInt() <= stepsDone) {
        kept.append(line).append('\n');
      }
    }
    AtomicFile.write(file, kept.toString());
    return new RunLog(file);
  }

  /** A line to be filled and {@linkplain #append appended}. */
  public static ObjectNode line(int step) {
    return JSON.createObjectNode().put("step", step);
  }

  public void append(ObjectNode line) throws IOException {
    Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }

  /** All whole lines; a last one that was cut short is left out. */
  public List<JsonNode> lines() throws IOException {
    return read(file);
  }

  /** All whole lines of a log. */
  public static List<JsonNode> read(Path file) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    String text = Files.readString(file);
    for (String line : text.substring(0, text.lastIndexOf('\n') + 1).lines().toList()) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }
}

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
  private final Listener listener;

  private RunLog(Path file, Listener listener) {
    this.file = file;
    this.listener = listener;
  }

  /** Who is told of a log's growth, on the run's thread. */
  public interface Listener {
    /** Of nobody. */
    Listener NONE =
        new Listener() {
          @Override
          public void opened(int stepsDone) {}

          @Override
          public void appended(JsonNode line) {}
        };

    /** The log can be read; it holds what steps up to these have said. */
    void opened(int stepsDone);

    /** A line more can be read. */
    void appended(JsonNode line);
  }

  /** Opens a log, keeping the lines of steps up to {@code stepsDone}. */
  public static RunLog open(Path file, int stepsDone) throws IOException {
    return open(file, stepsDone, Listener.NONE);
  }

  /** Opens a log that somebody listens to. */
  static RunLog open(Path file, int stepsDone, Listener listener) throws IOException {
    StringBuilder kept = new StringBuilder();
    for (JsonNode line : Files.exists(file) ? read(file) : List.<JsonNode>of()) {
      if (line.path("step").asInt() <= stepsDone) {
        kept.append(line).append('\n');
      }
    }
    AtomicFile.write(file, kept.toString());
    listener.opened(stepsDone);
    return new RunLog(file, listener);
  }

  /** A line to be filled and {@linkplain #append appended}. */
  public static ObjectNode line(int step) {
    return JSON.createObjectNode().put("step", step);
  }

  public void append(ObjectNode line) throws IOException {
    Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    listener.appended(line);
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

package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.server.UserException;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is done of an unfinished model: a JSON object of the settings, then one a finished layer
 * with its report. A layer's line is written once its tensors are on disk; a line that was cut
 * short doesn't count.
 */
final class QuantizeJournal {
  static final String FILE = "journal.jsonl";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final List<JsonNode> layers = new ArrayList<>();

  private QuantizeJournal(Path file) {
    this.file = file;
  }

  /** The options of a run, and what they are applied to. */
  static ObjectNode settings(
      ObjectNode options, @Nullable Calibration calibration, Checkpoint source) {
    options.put("calibration", calibration == null ? "none" : calibration.fingerprint());
    return options.put("model", source.fingerprint());
  }

  /**
   * Opens the journal of a run, or begins one.
   *
   * @param settings all that decides what the run gives
   * @throws UserException if it was begun with others
   */
  static QuantizeJournal open(Path file, ObjectNode settings) throws IOException {
    QuantizeJournal journal = new QuantizeJournal(file);
    List<JsonNode> lines = Files.exists(file) ? wholeLines(file) : List.of();
    if (!lines.isEmpty()) {
      checkSame(lines.getFirst(), settings);
    }
    StringBuilder kept = new StringBuilder(settings + "\n");
    for (JsonNode line : lines.subList(Math.min(1, lines.size()), lines.size())) {
      journal.layers.add(line);
      kept.append(line).append('\n');
    }
    AtomicFile.write(file, kept.toString());
    return journal;
  }

  private static List<JsonNode> wholeLines(Path file) throws IOException {
    String text = Files.readString(file);
    List<JsonNode> lines = new ArrayList<>();
    for (String line : text.substring(0, text.lastIndexOf('\n') + 1).lines().toList()) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }

  private static void checkSame(JsonNode begun, ObjectNode settings) {
    for (Iterator<String> names = settings.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      // by their text: what was read from a file may be an int where a long was put
      String before = String.valueOf(begun.get(name));
      String now = String.valueOf(settings.get(name));
      if (!before.equals(now)) {
        throw new UserException(
            "--resume: the unfinished run has %s %s, this one %s; a run goes on as it began"
                .formatted(name, before, now));
      }
    }
  }

  /** What was booked of each finished layer. */
  List<JsonNode> layers() {
    return layers;
  }

  /** Books a layer, whose tensors are on disk. */
  void add(ObjectNode node) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap((node + "\n").getBytes(StandardCharsets.UTF_8));
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.APPEND)) {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.force(true);
    }
    layers.add(node);
  }
}

package io.tercel.trainer.eval;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.trainer.files.LineFile;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The answers of a run of suites, a JSON line each, behind a line of the run's settings. A run that
 * was stopped goes on where its file ends; half a line at the end is cut off.
 */
final class SuiteLog implements AutoCloseable {
  private static final String SETTINGS = "settings";

  private final Map<Key, SuiteScore> scores = new HashMap<>();
  private final BufferedWriter writer;

  private record Key(String suite, long seed, String problem) {}

  private SuiteLog(BufferedWriter writer) {
    this.writer = writer;
  }

  /**
   * Opens a file, new or of a run that was stopped.
   *
   * @param settings what all answers of a file have in common
   * @throws UserException if the file is of other settings, or no such file
   */
  static SuiteLog open(Path file, ObjectNode settings) throws IOException {
    boolean fresh = !Files.exists(file) || Files.size(file) == 0;
    if (!fresh) {
      cutHalfLine(file);
    }
    SuiteLog log =
        new SuiteLog(
            Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND));
    boolean whole = false;
    try {
      if (fresh || Files.size(file) == 0) {
        log.write(JsonNodeFactory.instance.objectNode().set(SETTINGS, settings));
      } else {
        log.read(file, settings);
      }
      whole = true;
      return log;
    } finally {
      if (!whole) {
        log.close();
      }
    }
  }

  private static void cutHalfLine(Path file) throws IOException {
    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
      long end = bytes.length();
      while (end > 0) {
        bytes.seek(end - 1);
        if (bytes.read() == '\n') {
          break;
        }
        end--;
      }
      bytes.setLength(end);
    }
  }

  private void read(Path path, ObjectNode settings) {
    try (LineFile file = LineFile.open(path)) {
      file.visit(
          (line, place, number) -> {
            ObjectNode fields = line.fields();
            if (number == 1) {
              check(path, fields.path(SETTINGS), settings);
              return;
            }
            if (!fields.path("seed").isIntegralNumber() || !fields.path("correct").isBoolean()) {
              throw line.refuse("seed or correct", "is missing; is this the file of such a run?");
            }
            add(
                new SuiteScore(
                    line.text("suite"),
                    fields.get("seed").longValue(),
                    line.text("id"),
                    fields.get("correct").booleanValue(),
                    fields.path("tokens").asInt(-1),
                    fields.path("finish_reason").asText().equals("length")));
          });
    }
  }

  private static void check(Path path, JsonNode found, ObjectNode settings) {
    if (!found.equals(settings)) {
      throw new UserException(
          "--out: %s was begun with %s, and this run has %s: name another file, or add --overwrite"
              .formatted(path, found.isMissingNode() ? "no settings" : found, settings));
    }
  }

  private void add(SuiteScore score) {
    scores.put(new Key(score.suite(), score.seed(), score.problem()), score);
  }

  /** The score of an answer that is in the file. */
  Optional<SuiteScore> score(String suite, long seed, String problem) {
    return Optional.ofNullable(scores.get(new Key(suite, seed, problem)));
  }

  /**
   * Adds an answer, on the disk as soon as it is known; failed requests are left to be repeated.
   */
  void add(String suite, EvalResult result) throws IOException {
    if (result.error() == null) {
      ObjectNode line = JsonNodeFactory.instance.objectNode();
      line.put("suite", suite);
      line.setAll(result.json());
      write(line);
    }
    add(
        new SuiteScore(
            suite,
            result.seed(),
            result.problem().id(),
            result.correct(),
            result.answer().completionTokens(),
            result.answer().finishReason().equals("length")));
  }

  private void write(JsonNode line) throws IOException {
    writer.write(line.toString());
    writer.write('\n');
    writer.flush();
  }

  @Override
  public void close() throws IOException {
    writer.close();
  }
}

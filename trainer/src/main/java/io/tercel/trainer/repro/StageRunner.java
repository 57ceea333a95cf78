package io.tercel.trainer.repro;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.server.UserException;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Does stages, each behind those it stands on, and none twice: a file {@code DONE} in its folder
 * says what was done and from what, and is written last.
 */
final class StageRunner {
  /** In a stage's folder. */
  static final String DONE = "DONE";

  private static final String STAMP = "finished ";

  private final Path out;

  StageRunner(Path out) {
    this.out = out;
  }

  /**
   * Does what isn't done yet.
   *
   * @return 0, or the exit status of a command that was told to stop, from where the same call goes
   *     on
   * @throws UserException if a stage fails, or was done otherwise than is asked for now
   */
  int run(List<Stage> stages) throws IOException {
    for (Stage stage : stages) {
      int code = run(stage.after());
      code = code == 0 ? take(stage) : code;
      if (code != 0) {
        return code;
      }
    }
    return 0;
  }

  private int take(Stage stage) throws IOException {
    Path done = stage.folder().resolve(DONE);
    String description = description(stage);
    if (Files.exists(done)) {
      if (!Files.readString(done).startsWith(description)) {
        throw new UserException(
            "%s was made otherwise than is asked for now (see its %s): remove it, or give another"
                    .formatted(stage.folder(), DONE)
                + " --out");
      }
      return 0;
    }
    if (!stage.resumes()) {
      delete(stage.folder());
    }
    Files.createDirectories(stage.folder());
    System.err.println("repro: " + stage.name());
    Instant start = Instant.now();
    try (PrintWriter output =
        new PrintWriter(stage.folder().resolve("output.txt").toFile(), StandardCharsets.UTF_8)) {
      for (Step step : stage.steps()) {
        int code = step.run(output);
        if (code != 0) {
          System.err.println("repro: stopped in " + stage.name() + "; the same command goes on");
          return code;
        }
      }
    } catch (UserException | CheckpointException e) {
      throw new UserException(stage.name() + ": " + e.getMessage(), e);
    }
    Instant end = Instant.now();
    AtomicFile.write(
        done,
        "%s%s%s after %.1f s%n"
            .formatted(description, STAMP, end, Duration.between(start, end).toMillis() / 1e3));
    return 0;
  }

  /** What is done, and from which results. */
  private String description(Stage stage) throws IOException {
    StringBuilder text = new StringBuilder();
    for (Stage before : stage.after()) {
      String done = Files.readString(before.folder().resolve(DONE));
      text.append("from ").append(before.name()).append(", ");
      text.append(done.substring(done.lastIndexOf(STAMP)));
    }
    for (Step step : stage.steps()) {
      // wherever the whole lies
      text.append(step.text().replace(out.toString(), "OUT")).append('\n');
    }
    return text.toString();
  }

  private static void delete(Path folder) throws IOException {
    if (Files.exists(folder)) {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }
}

package io.tercel.trainer.eval;

import io.tercel.server.UserException;
import io.tercel.trainer.files.ParquetLines;
import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The problems of a file, in its order, as benchmarks are published: JSON lines or parquet (AIME,
 * MATH-500, GSM8K, this project's own), or GPQA's CSV.
 */
public final class Benchmark {
  private Benchmark() {}

  /**
   * Reads a file.
   *
   * @throws UserException if it can't be read; the message names the line, the field and the mend
   */
  public static List<BenchmarkProblem> read(Path file) {
    return parse(ParquetLines.named(file) ? ParquetLines.of(file) : file);
  }

  /** The same of several, told apart by their names. */
  static List<BenchmarkProblem> read(List<Path> files) {
    List<BenchmarkProblem> problems = new ArrayList<>();
    Map<String, Integer> seen = new HashMap<>();
    for (Path file : files) {
      for (BenchmarkProblem problem : read(file)) {
        String id = (files.size() > 1 ? file.getFileName() + ":" : "") + problem.id();
        int times = seen.merge(id, 1, Integer::sum);
        problems.add(
            new BenchmarkProblem(
                times == 1 ? id : id + "#" + times,
                problem.question(),
                problem.answer(),
                problem.family(),
                problem.selfContained()));
      }
    }
    return problems;
  }

  private static List<BenchmarkProblem> parse(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    String text;
    try {
      text = Files.readString(file);
    } catch (NoSuchFileException e) {
      throw new UserException("--data: no such file: " + file, e);
    } catch (MalformedInputException e) {
      throw new UserException(file + ": not UTF-8 text", e);
    } catch (IOException e) {
      throw new UserException("--data: can't be read: " + e.getMessage(), e);
    }
    if (text.startsWith("\ufeff")) {
      text = text.substring(1);
    }
    List<BenchmarkProblem> problems =
        name.endsWith(".csv") ? GpqaCsv.read(file, text) : JsonLines.read(file, text);
    if (problems.isEmpty()) {
      throw new UserException(file + ": no problems in it");
    }
    return problems;
  }
}

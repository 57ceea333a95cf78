package io.tercel.trainer.eval;

import io.tercel.server.UserException;
import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * The problems of a file, in its order, as benchmarks are published: JSON lines (AIME, MATH-500,
 * GSM8K, this project's own) or GPQA's CSV.
 */
public final class Benchmark {
  private Benchmark() {}

  /**
   * Reads a file.
   *
   * @throws UserException if it can't be read; the message names the line, the field and the mend
   */
  public static List<BenchmarkProblem> read(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    if (name.endsWith(".parquet")) {
      throw new UserException(
          file
              + ": parquet is not read; convert it first, for instance with Python:"
              + " pandas.read_parquet(FILE).to_json(OUT, orient='records', lines=True)");
    }
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

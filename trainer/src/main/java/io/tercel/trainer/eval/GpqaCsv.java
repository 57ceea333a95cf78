package io.tercel.trainer.eval;

import io.tercel.server.UserException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * GPQA's table: a question, its right answer and three wrong ones, which become a choice of A to D
 * in an order drawn from a fixed seed. The answer is the letter.
 */
final class GpqaCsv {
  private static final long SEED = 42;
  private static final String QUESTION = "Question";
  private static final String CORRECT = "Correct Answer";
  private static final List<String> INCORRECT =
      List.of("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3");
  private static final String PROMPT =
      """
      Answer the following multiple choice question. The last line of your response should be of \
      the following format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think \
      step by step before answering.

      %s

      A) %s
      B) %s
      C) %s
      D) %s""";

  private GpqaCsv() {}

  static List<BenchmarkProblem> read(Path file, String text) {
    List<List<String>> rows = rows(file, text);
    if (rows.isEmpty()) {
      return List.of();
    }
    List<String> header = rows.getFirst();
    int question = column(file, header, QUESTION);
    int correct = column(file, header, CORRECT);
    List<Integer> incorrect = INCORRECT.stream().map(name -> column(file, header, name)).toList();
    int family = header.indexOf("High-level domain");
    int id = header.indexOf("Record ID");
    Random random = new Random(SEED);
    List<BenchmarkProblem> problems = new ArrayList<>();
    for (int i = 1; i < rows.size(); i++) {
      List<String> row = rows.get(i);
      if (row.size() != header.size()) {
        throw new UserException(
            "%s: row %d has %d columns, and the header %d"
                .formatted(file, i + 1, row.size(), header.size()));
      }
      String right = row.get(correct).strip();
      List<String> options = new ArrayList<>(List.of(right));
      incorrect.forEach(column -> options.add(row.get(column).strip()));
      List<Integer> order = new ArrayList<>(List.of(0, 1, 2, 3));
      Collections.shuffle(order, random);
      List<String> shuffled = order.stream().map(options::get).toList();
      problems.add(
          new BenchmarkProblem(
              id < 0 ? String.valueOf(i) : row.get(id),
              PROMPT.formatted(
                  row.get(question).strip(),
                  shuffled.get(0),
                  shuffled.get(1),
                  shuffled.get(2),
                  shuffled.get(3)),
              String.valueOf((char) ('A' + order.indexOf(0))),
              domain(row, family),
              true));
    }
    return problems;
  }

  private static @Nullable String domain(List<String> row, int column) {
    return column < 0 || row.get(column).isBlank() ? null : row.get(column).strip();
  }

  private static int column(Path file, List<String> header, String name) {
    int column = header.indexOf(name);
    if (column < 0) {
      throw new UserException(
          "%s: no column '%s'; of CSV files, GPQA's are read, and others as .jsonl"
              .formatted(file, name));
    }
    return column;
  }

  /** Rows of cells, which may be quoted and then hold commas, line breaks and doubled quotes. */
  private static List<List<String>> rows(Path file, String text) {
    List<List<String>> rows = new ArrayList<>();
    List<String> row = new ArrayList<>();
    StringBuilder cell = new StringBuilder();
    boolean quoted = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (quoted) {
        if (c != '"') {
          cell.append(c);
        } else if (i + 1 < text.length() && text.charAt(i + 1) == '"') {
          cell.append(c);
          i++;
        } else {
          quoted = false;
        }
      } else if (c == '"') {
        quoted = true;
      } else if (c == ',' || c == '\n') {
        row.add(cell.toString());
        cell.setLength(0);
        if (c == '\n') {
          addRow(rows, row);
          row = new ArrayList<>();
        }
      } else if (c != '\r') {
        cell.append(c);
      }
    }
    if (quoted) {
      throw new UserException(file + ": a quoted cell has no end");
    }
    row.add(cell.toString());
    addRow(rows, row);
    return rows;
  }

  private static void addRow(List<List<String>> rows, List<String> row) {
    if (row.size() > 1 || !row.getFirst().isBlank()) {
      rows.add(row);
    }
  }
}

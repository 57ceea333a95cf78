package io.tercel.trainer.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** The results of several suites in one table. */
final class SuiteTable {
  private final Map<String, Row> rows = new LinkedHashMap<>();

  /**
   * One suite.
   *
   * @param accuracy the mean of the seeds' accuracies, in percent
   * @param standardError of that mean, from the spread of the seeds; NaN of one seed
   * @param tokens of an answer, in the mean; NaN if the server doesn't say
   * @param cut percent of the answers that came to the bound of their length
   */
  record Row(int problems, double accuracy, double standardError, double tokens, double cut) {
    static Row of(List<SuiteScore> scores) {
      SortedMap<Long, int[]> seeds = new TreeMap<>();
      double tokens = 0;
      int told = 0;
      int cut = 0;
      for (SuiteScore score : scores) {
        int[] counts = seeds.computeIfAbsent(score.seed(), _ -> new int[2]);
        counts[0] += score.correct() ? 1 : 0;
        counts[1]++;
        if (score.tokens() >= 0) {
          tokens += score.tokens();
          told++;
        }
        cut += score.cut() ? 1 : 0;
      }
      double[] accuracies = seeds.values().stream().mapToDouble(c -> 100.0 * c[0] / c[1]).toArray();
      return new Row(
          seeds.values().stream().mapToInt(c -> c[1]).max().orElse(0),
          mean(accuracies),
          spread(accuracies),
          told == 0 ? Double.NaN : tokens / told,
          100.0 * cut / scores.size());
    }
  }

  private static double mean(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum / values.length;
  }

  /** The standard error of the mean. */
  private static double spread(double[] values) {
    if (values.length < 2) {
      return Double.NaN;
    }
    double mean = mean(values);
    double squares = 0;
    for (double value : values) {
      squares += (value - mean) * (value - mean);
    }
    return Math.sqrt(squares / (values.length - 1) / values.length);
  }

  /** Adds a suite's scores; none add nothing. */
  void add(String suite, List<SuiteScore> scores) {
    if (!scores.isEmpty()) {
      rows.put(suite, Row.of(scores));
    }
  }

  /** The table as lines for a person. */
  List<String> lines() {
    List<String> lines = new ArrayList<>();
    lines.add(
        "%-16s %8s %11s %6s %9s %6s"
            .formatted("suite", "problems", "accuracy, %", "±", "tokens", "cut, %"));
    rows.forEach((suite, row) -> lines.add(line(suite, row)));
    if (rows.size() > 1) {
      double average = rows.values().stream().mapToDouble(Row::accuracy).average().orElse(0);
      lines.add(String.format(Locale.ROOT, "%-16s %8s %11.2f", "average", "", average));
    }
    return lines;
  }

  private static String line(String suite, Row row) {
    return "%-16s %8d %11s %6s %9s %6s"
        .formatted(
            suite,
            row.problems,
            number(row.accuracy, 2),
            number(row.standardError, 2),
            number(row.tokens, 1),
            number(row.cut, 1));
  }

  private static String number(double value, int places) {
    return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%." + places + "f", value);
  }
}

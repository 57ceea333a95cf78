package io.tercel.trainer.repro;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * How many answers are right.
 *
 * @param share of all answers
 * @param error standard error of the share over problems, the seeds of each taken together
 */
record Score(double share, double error, int problems) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Of what {@code tercel eval --out} has written. */
  static Score read(Path answers) throws IOException {
    Map<String, int[]> byProblem = new TreeMap<>();
    for (String line : Files.readAllLines(answers)) {
      JsonNode answer = JSON.readTree(line);
      int[] counts = byProblem.computeIfAbsent(answer.get("id").asText(), _ -> new int[2]);
      counts[0] += answer.get("correct").asBoolean() ? 1 : 0;
      counts[1]++;
    }
    double mean = 0;
    for (int[] counts : byProblem.values()) {
      mean += (double) counts[0] / counts[1] / byProblem.size();
    }
    double squares = 0;
    for (int[] counts : byProblem.values()) {
      double off = (double) counts[0] / counts[1] - mean;
      squares += off * off;
    }
    int n = byProblem.size();
    return new Score(mean, Math.sqrt(squares / n / Math.max(1, n - 1)), n);
  }

  /** In percent. */
  @Override
  public String toString() {
    return String.format(Locale.ROOT, "%.1f ± %.1f", 100 * share, 100 * error);
  }
}

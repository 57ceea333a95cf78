package io.tercel.trainer.eval;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What a run came to. The overall error takes all answers as independent draws; where the same
 * problems were asked under several seeds, it says how sure the mean on these problems is, not how
 * sure one may be about other problems.
 *
 * @param thinkingMean tokens of thought per answer, NaN where the server doesn't count them
 * @param families empty if the data has none
 */
public record EvalReport(
    Accuracy overall,
    SortedMap<Long, Accuracy> seeds,
    SortedMap<String, Accuracy> families,
    double thinkingMean,
    double thinkingMedian,
    SortedMap<String, Integer> finishReasons,
    int errors) {

  /** The report of some results, whatever their order. */
  public static EvalReport of(List<EvalResult> results) {
    int[] thoughts =
        results.stream()
            .filter(result -> result.error() == null)
            .mapToInt(result -> result.answer().reasoningTokens())
            .filter(tokens -> tokens >= 0)
            .sorted()
            .toArray();
    SortedMap<String, Integer> reasons = new TreeMap<>();
    results.forEach(result -> reasons.merge(result.answer().finishReason(), 1, Integer::sum));
    return new EvalReport(
        accuracy(results),
        by(results, EvalResult::seed),
        by(results, result -> result.problem().family()),
        mean(thoughts),
        median(thoughts),
        reasons,
        (int) results.stream().filter(result -> result.error() != null).count());
  }

  private static Accuracy accuracy(List<EvalResult> results) {
    return new Accuracy((int) results.stream().filter(EvalResult::correct).count(), results.size());
  }

  private static <K extends Comparable<K>> SortedMap<K, Accuracy> by(
      List<EvalResult> results, Function<EvalResult, @Nullable K> key) {
    SortedMap<K, List<EvalResult>> groups = new TreeMap<>();
    for (EvalResult result : results) {
      K group = key.apply(result);
      if (group != null) {
        groups.computeIfAbsent(group, _ -> new ArrayList<>()).add(result);
      }
    }
    SortedMap<K, Accuracy> accuracies = new TreeMap<>();
    groups.forEach((group, members) -> accuracies.put(group, accuracy(members)));
    return accuracies;
  }

  private static double mean(int[] values) {
    long sum = 0;
    for (int value : values) {
      sum += value;
    }
    return values.length == 0 ? Double.NaN : (double) sum / values.length;
  }

  /** Of sorted values. */
  private static double median(int[] values) {
    int n = values.length;
    return n == 0 ? Double.NaN : (values[(n - 1) / 2] + (double) values[n / 2]) / 2;
  }

  /** The report as lines for a person. */
  public List<String> lines() {
    List<String> lines = new ArrayList<>();
    lines.add("accuracy          " + overall);
    if (seeds.size() > 1) {
      seeds.forEach((seed, accuracy) -> lines.add("  seed %-11d %s".formatted(seed, accuracy)));
    }
    families.forEach((family, accuracy) -> lines.add("  %-16s %s".formatted(family, accuracy)));
    lines.add(
        Double.isNaN(thinkingMean)
            ? "thinking tokens   not told by the server"
            : String.format(
                Locale.ROOT,
                "thinking tokens   mean %.1f, median %.1f",
                thinkingMean,
                thinkingMedian));
    StringBuilder reasons = new StringBuilder("finish reasons    ");
    String separator = "";
    for (Map.Entry<String, Integer> reason : finishReasons.entrySet()) {
      reasons.append(separator).append(reason.getKey()).append(' ').append(reason.getValue());
      separator = ", ";
    }
    lines.add(reasons.toString());
    return lines;
  }
}

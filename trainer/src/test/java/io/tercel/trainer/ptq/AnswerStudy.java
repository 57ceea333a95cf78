package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.server.engine.StaleKv;
import io.tercel.server.model.RunningEngine;
import io.tercel.server.model.ServingOptions;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.eval.AnswerChecker;
import io.tercel.trainer.rollout.Rollout;
import io.tercel.trainer.rollout.Rollouts;
import io.tercel.trainer.rollout.Rollouts.Sampling;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A model's answers to held-out problems, greedy and at temperature 0.6 with top-p 0.95 under the
 * seeds 42, 43 and 44: one JSON line a problem with {@code right} and {@code tokens} of these four
 * in this order. And the tables of such files.
 */
final class AnswerStudy {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int[] SEEDS = {42, 43, 44};
  private static final int MAX_TOKENS = 160;

  private AnswerStudy() {}

  /**
   * Asks a model.
   *
   * @param problems as {@code tercel problems} writes them
   * @param count of them, from the first on
   */
  static void ask(Path problems, int count, Path out, Path model) throws IOException {
    List<JsonNode> asked = lines(problems);
    asked = asked.subList(0, Math.min(count, asked.size()));
    List<ObjectNode> results = new ArrayList<>();
    for (int i = 0; i < asked.size(); i++) {
      ObjectNode line = JSON.createObjectNode().put("id", i + 1);
      line.put("family", asked.get(i).path("family").asText());
      line.putArray("right");
      line.putArray("tokens");
      results.add(line);
    }
    long start = System.nanoTime();
    long tokens = 0;
    try (Checkpoint checkpoint = Checkpoint.open(model);
        Tokenizer tokenizer = Tokenizer.open(model);
        RunningEngine running = engine(checkpoint, tokenizer, asked.size())) {
      List<Prompt> prompts = prompts(asked, checkpoint, tokenizer);
      tokens += record(results, running, tokenizer, prompts, Sampling.greedy(MAX_TOKENS), 0);
      for (int seed : SEEDS) {
        Sampling sampling = new Sampling(.6f, .95f, MAX_TOKENS);
        tokens += record(results, running, tokenizer, prompts, sampling, seed * 1_000_000L);
      }
    }
    StringBuilder text = new StringBuilder();
    results.forEach(line -> text.append(line).append('\n'));
    Files.writeString(out, text);
    System.out.printf("%.0f tokens/s%n", tokens / ((System.nanoTime() - start) / 1e9));
    table(List.of(out));
  }

  private static RunningEngine engine(Checkpoint checkpoint, Tokenizer tokenizer, int waiting) {
    ServingOptions options =
        new ServingOptions().threads(1).maxModelLen(256).maxWaiting(waiting).maxNumSeqs(64);
    return RunningEngine.open(
        checkpoint,
        options,
        tokenizer.endTokens(checkpoint.config().eosTokenIds()),
        LoadProgress.SILENT);
  }

  private static List<Prompt> prompts(
      List<JsonNode> asked, Checkpoint checkpoint, Tokenizer tokenizer) {
    CalibrationReader reader =
        new CalibrationReader(tokenizer, checkpoint.config().vocabSize(), true);
    List<Prompt> prompts = new ArrayList<>();
    for (JsonNode line : asked) {
      String id = "problem " + (prompts.size() + 1);
      prompts.add(
          new Prompt(id, reader.document(line.toString(), id), line.get("answer").asText()));
    }
    return prompts;
  }

  private static long record(
      List<ObjectNode> results,
      RunningEngine running,
      Tokenizer tokenizer,
      List<Prompt> prompts,
      Sampling sampling,
      long seed) {
    long tokens = 0;
    try (Rollouts rollouts = new Rollouts(running.engine(), sampling)) {
      List<List<Rollout>> groups = rollouts.groups(prompts, 1, seed, StaleKv.DROP);
      for (int i = 0; i < groups.size(); i++) {
        Rollout rollout = groups.get(i).getFirst();
        String text = tokenizer.decode(rollout.tokens(), true);
        boolean right = AnswerChecker.EVALUATION.check(text, rollout.prompt().answer()).correct();
        results.get(i).withArray("right").add(right ? 1 : 0);
        results.get(i).withArray("tokens").add(rollout.tokens().length);
        tokens += rollout.tokens().length;
      }
    }
    return tokens;
  }

  private static List<JsonNode> lines(Path file) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }

  /**
   * A Markdown row for each file: per cent right with standard errors over problems (a problem's
   * three seeds are averaged first, for they are not independent), greedy answers by family, tokens
   * an answer, and the differences from the first file, problem by problem.
   */
  static void table(List<Path> files) throws IOException {
    double[][] first = {};
    for (Path file : files) {
      List<JsonNode> lines = lines(file);
      double[][] right = new double[2][lines.size()];
      double tokens = 0;
      Map<String, List<Double>> families = new LinkedHashMap<>();
      for (int i = 0; i < lines.size(); i++) {
        JsonNode marks = lines.get(i).get("right");
        right[0][i] = marks.get(0).asInt();
        right[1][i] = (marks.get(1).asInt() + marks.get(2).asInt() + marks.get(3).asInt()) / 3.0;
        tokens += lines.get(i).get("tokens").get(0).asInt();
        families
            .computeIfAbsent(lines.get(i).get("family").asText(), _ -> new ArrayList<>())
            .add(right[0][i]);
      }
      StringBuilder row = new StringBuilder("| " + file.getFileName());
      row.append(" | ").append(mean(right[0])).append(" | ").append(mean(right[1]));
      for (String family : List.of("parts", "mod", "wallet", "sum", "base")) {
        List<Double> of = families.getOrDefault(family, List.of(Double.NaN));
        row.append(" | ")
            .append(
                "%.0f".formatted(100 * of.stream().mapToDouble(d -> d).average().orElseThrow()));
      }
      row.append(" | %.1f |".formatted(tokens / lines.size()));
      if (first.length == 0) {
        first = right;
      } else if (first[0].length == right[0].length) {
        row.append(" ").append(difference(right[0], first[0])).append(" | ");
        row.append(difference(right[1], first[1])).append(" |");
      }
      System.out.println(row);
    }
  }

  private static String difference(double[] of, double[] from) {
    double[] difference = new double[of.length];
    for (int i = 0; i < of.length; i++) {
      difference[i] = of[i] - from[i];
    }
    return mean(difference);
  }

  private static String mean(double[] values) {
    return mean(values, 100, 1);
  }

  /** The mean and its standard error, so many times as much, with so many decimals. */
  static String mean(double[] values, double factor, int decimals) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    double mean = sum / values.length;
    double squares = 0;
    for (double value : values) {
      squares += (value - mean) * (value - mean);
    }
    double error = Math.sqrt(squares / (values.length - 1.0) / values.length);
    String number = "%." + decimals + "f";
    return (number + " ± " + number).formatted(factor * mean, factor * error);
  }
}

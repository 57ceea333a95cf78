package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.engine.Generation;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.model.RunningEngine;
import io.tercel.server.model.ServingOptions;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.problems.Family;
import io.tercel.trainer.problems.Partition;
import io.tercel.trainer.problems.Problem;
import io.tercel.trainer.problems.ProblemMix;
import io.tercel.trainer.repro.RescaledChannels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * By hand, not a test:
 *
 * <ul>
 *   <li>{@code shape DIR [LAYERS]} writes a random checkpoint of Qwen3-0.6B's shape
 *   <li>{@code rescale FROM TO SIGMA SEED} a copy with rescaled channels
 *   <li>{@code texts OUT.jsonl N SHARE} training problems, this share worked by the other author
 *   <li>{@code accuracy HELDOUT.jsonl DIR...} counts right greedy answers
 *   <li>{@code ask HELDOUT.jsonl N OUT.jsonl DIR} and {@code table FILE...} are {@link AnswerStudy}
 *   <li>{@code curves OUT FIELD TITLE WINDOW LABEL=LOG...} is {@link CurveStudy}
 *   <li>{@code divergence OUT.jsonl problems:MIX TEACHER LABEL=DIR...} is {@link DivergenceStudy}
 * </ul>
 */
final class PtqStudy {
  private PtqStudy() {}

  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "shape" ->
          TinyCheckpoint.qwen3()
              .hidden(1024)
              .ffn(3072)
              .layers(args.length > 2 ? Integer.parseInt(args[2]) : 28)
              .heads(16, 8, 128)
              .vocab(151_936)
              .write(Path.of(args[1]));
      case "rescale" ->
          RescaledChannels.write(
              Path.of(args[1]),
              Path.of(args[2]),
              Double.parseDouble(args[3]),
              Long.parseLong(args[4]));
      case "accuracy" -> {
        for (int i = 2; i < args.length; i++) {
          accuracy(Path.of(args[1]), Path.of(args[i]));
        }
      }
      case "ask" ->
          AnswerStudy.ask(
              Path.of(args[1]), Integer.parseInt(args[2]), Path.of(args[3]), Path.of(args[4]));
      case "texts" ->
          texts(Path.of(args[1]), Integer.parseInt(args[2]), Double.parseDouble(args[3]));
      case "divergence" ->
          DivergenceStudy.measure(
              Path.of(args[1]), args[2], Path.of(args[3]), List.of(args).subList(4, args.length));
      case "curves" ->
          CurveStudy.draw(
              Path.of(args[1]),
              args[2],
              args[3],
              Integer.parseInt(args[4]),
              List.of(args).subList(5, args.length));
      case "table" -> AnswerStudy.table(Stream.of(args).skip(1).map(Path::of).toList());
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** For {@code --calibration}: in the format of models that were trained on problems. */
  private static void texts(Path out, int count, double share) throws IOException {
    Map<String, Double> families = new TreeMap<>();
    for (String family : List.of("parts", "mod", "wallet", "sum", "base")) {
      families.put(family, 1.0);
    }
    ProblemMix mix = ProblemMix.of(families).withOtherStyle(share);
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < count; i++) {
      Problem problem = mix.draw(7, Partition.TRAINING, i, Family.FULL);
      String text =
          problem.question() + "<think>" + problem.thinking() + "</think>" + problem.reply();
      lines.append(new ObjectMapper().createObjectNode().put("text", text + "<|im_end|>"));
      lines.append('\n');
    }
    Files.writeString(out, lines);
  }

  private static void accuracy(Path problems, Path model) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(problems)) {
      lines.add(new ObjectMapper().readTree(line));
    }
    Map<String, int[]> byFamily = new TreeMap<>();
    int[] all = new int[2];
    try (Checkpoint checkpoint = Checkpoint.open(model);
        Tokenizer tokenizer = Tokenizer.open(model)) {
      List<String> answers = answers(checkpoint, tokenizer, lines);
      for (int i = 0; i < lines.size(); i++) {
        String boxed = "\\boxed{" + lines.get(i).get("answer").asText() + "}";
        int[] family =
            byFamily.computeIfAbsent(lines.get(i).path("family").asText(), _ -> new int[2]);
        int right = answers.get(i).endsWith(boxed) ? 1 : 0;
        family[0] += right;
        family[1]++;
        all[0] += right;
        all[1]++;
      }
    }
    double p = (double) all[0] / all[1];
    System.out.printf(
        "%s: %d / %d = %.1f %% (SE %.1f)",
        model, all[0], all[1], 100 * p, 100 * Math.sqrt(p * (1 - p) / all[1]));
    byFamily.forEach((name, n) -> System.out.printf("  %s %d/%d", name, n[0], n[1]));
    System.out.println();
  }

  /** Greedy, up to 160 tokens. */
  static List<String> answers(Checkpoint checkpoint, Tokenizer tokenizer, List<JsonNode> lines) {
    CalibrationReader reader =
        new CalibrationReader(tokenizer, checkpoint.config().vocabSize(), true);
    List<String> answers = new ArrayList<>();
    ServingOptions options =
        new ServingOptions()
            .threads(1)
            .maxModelLen(256)
            .maxWaiting(lines.size())
            .kvCacheDtype("fp32");
    Set<Integer> ends = tokenizer.endTokens(checkpoint.config().eosTokenIds());
    try (RunningEngine running =
        RunningEngine.open(checkpoint, options, ends, LoadProgress.SILENT)) {
      List<Generation> open = new ArrayList<>();
      for (JsonNode line : lines) {
        int[] prompt = reader.document(line.toString(), "problem");
        open.add(
            running
                .engine()
                .submit(
                    new GenerationRequest("p" + open.size(), prompt, SamplingParams.greedy(160))));
      }
      for (Generation generation : open) {
        answers.add(text(generation, tokenizer));
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    return answers;
  }

  private static String text(Generation generation, Tokenizer tokenizer)
      throws InterruptedException {
    List<Integer> tokens = new ArrayList<>();
    while (true) {
      switch (generation.take()) {
        case EngineEvent.Token t -> tokens.add(t.result().tokenId());
        case EngineEvent.Finished _ -> {
          return tokenizer.decode(tokens.stream().mapToInt(i -> i).toArray(), true);
        }
        case EngineEvent.Failed f -> throw new IllegalStateException(f.message());
        case EngineEvent.Started _, EngineEvent.PromptScored _ -> {}
      }
    }
  }
}

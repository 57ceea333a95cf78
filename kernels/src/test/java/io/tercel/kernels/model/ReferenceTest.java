package io.tercel.kernels.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.jit.JitOps;
import io.tercel.kernels.jit.Processor;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.testing.DoubleReference;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.RecordedInputs;
import io.tercel.kernels.testing.Specimen;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.testing.WordLevel;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The vector backend against a forward pass that shares no code with it, in double precision. */
class ReferenceTest {
  private static final int PROMPT = 50;
  private static final int GENERATED = 24;

  @TempDir Path temp;

  @ParameterizedTest
  @CsvSource({
    "qwen2,BF16,",
    "qwen2,F16,",
    "qwen2,F32,",
    "qwen2,F16,SYM",
    "qwen2,BF16,ASYM",
    "qwen2,F16,SYM_ACT_ORDER",
    "qwen2,F16,ASYM_ACT_ORDER_V2",
    "qwen3,BF16,",
    "qwen3,F16,",
    "qwen3,F32,",
    "qwen3,F16,SYM_NO_G_IDX",
    "qwen3,BF16,ASYM_V2",
    "qwen3,F16,SYM_ACT_ORDER",
    "qwen3,BF16,ASYM_ACT_ORDER_V2"
  })
  void logProbs_andGreedyText(String family, String dtype, @Nullable String variant)
      throws ReflectiveOperationException {
    TinyCheckpoint tiny = family.equals("qwen2") ? TinyCheckpoint.qwen2() : TinyCheckpoint.qwen3();
    tiny.dtype(dtype).hidden(variant == null ? 88 : 160).ffn(variant == null ? 108 : 192);
    if (variant != null) {
      tiny.gptq((GptqVariant) GptqVariant.class.getField(variant).get(null));
    }
    Path directory = tiny.write(temp);
    try (WeightStore weights = Lab.load(directory)) {
      String what = family + " " + dtype + " " + variant;
      check(directory, weights, VectorOps::new, variant != null, what + ", vector");
      if (Processor.isSupported()) {
        check(directory, weights, JitOps::open, variant != null, what + ", jit");
      }
    }
  }

  private static void check(
      Path directory, WeightStore weights, IntFunction<Ops> backend, boolean rounds, String what) {
    RecordedInputs inputs = new RecordedInputs();
    try (Lab lab = new Lab(weights, backend.apply(2), KvType.FP32);
        Lab recorded = new Lab(weights, inputs.recording(backend.apply(2)), KvType.FP32)) {
      int[] prompt = new Random(7).ints(PROMPT, 0, lab.vocab).toArray();
      Difference fed = logProbs(recorded, DoubleReference.open(directory, inputs), prompt);
      System.out.printf("%s: log-probs %s%n", what, fed);
      assertTrue(fed.worst < 1e-4, "log-prob differs by " + fed.worst);
      assertTrue(inputs.furthest() < 0.6, "a code is off by " + inputs.furthest());

      // from here on a code that falls to the other side of a tie moves all that follows
      DoubleReference rounding = DoubleReference.openRounding(directory);
      if (rounds) {
        Difference alike = logProbs(lab, rounding, prompt);
        Difference cost = logProbs(lab, DoubleReference.open(directory), prompt);
        System.out.printf("  free-running %s; without rounding %s%n", alike, cost);
      }
      List<Integer> expected = rounding.greedy(prompt, GENERATED, List.of());
      Text text = new Text(prompt, GENERATED, 0);
      generate(lab, List.of(text), -1);
      assertEquals(expected, text.generated);
    }
  }

  /** How far log-probs are apart. */
  private static final class Difference {
    double worst;
    double sum;
    long count;

    void add(double difference) {
      worst = Math.max(worst, Math.abs(difference));
      sum += Math.abs(difference);
      count++;
    }

    double mean() {
      return sum / count;
    }

    @Override
    public String toString() {
      return "within %.2g, %.2g on the mean".formatted(worst, mean());
    }
  }

  private static Difference logProbs(Lab lab, DoubleReference reference, int[] prompt) {
    Difference difference = new Difference();
    logProbs(lab, reference, prompt, difference);
    return difference;
  }

  private static void logProbs(
      Lab lab, DoubleReference reference, int[] prompt, Difference difference) {
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    batch.beginSequence(new int[] {3, 1, 4, 2});
    for (int p = 0; p < prompt.length; p++) {
      batch.addToken(prompt[p], p);
      plan.add(SamplingRow.score(p, 5, lab.vocab)); // all of them
    }
    List<TokenResult> results = lab.backend.step(batch, plan);
    double[][] expected = reference.logProbs(prompt);
    for (int p = 0; p < prompt.length; p++) {
      assertEquals(lab.vocab, results.get(p).top().size());
      for (TokenResult.TokenLogprob top : results.get(p).top()) {
        difference.add(top.logprob() - expected[p][top.tokenId()]);
      }
      difference.add(results.get(p).logprob() - expected[p][5]);
    }
  }

  /** A sequence that is being generated greedily. */
  private static final class Text {
    final int[] prompt;
    final int limit;
    final int[] table;
    final List<Integer> generated = new ArrayList<>();
    final List<Float> gaps = new ArrayList<>();

    Text(int[] prompt, int limit, int firstBlock) {
      this.prompt = prompt;
      this.limit = limit;
      table = new int[Math.ceilDiv(prompt.length + limit, KvLayout.BLOCK_SIZE)];
      Arrays.setAll(table, i -> firstBlock + i);
    }

    boolean runs(int stop) {
      boolean stopped = !generated.isEmpty() && generated.getLast() == stop;
      return !stopped && generated.size() < limit;
    }
  }

  /** All texts in one batch, until each has ended; notes how close the second-best came. */
  private static void generate(Lab lab, List<Text> texts, int stop) {
    List<Text> running = new ArrayList<>(texts);
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    while (!running.isEmpty()) {
      batch.clear();
      plan.clear();
      for (Text text : running) {
        batch.beginSequence(text.table);
        int last = text.prompt.length + text.generated.size() - 1;
        int row = 0;
        for (int p = text.generated.isEmpty() ? 0 : last; p <= last; p++) {
          int at = p - text.prompt.length;
          row = batch.addToken(at < 0 ? text.prompt[p] : text.generated.get(at), p);
        }
        plan.add(SamplingRow.sample(row).position(last + 1).numLogprobs(2).build());
      }
      List<TokenResult> results = lab.backend.step(batch, plan);
      for (int i = 0; i < results.size(); i++) {
        TokenResult result = results.get(i);
        running.get(i).generated.add(result.tokenId());
        running
            .get(i)
            .gaps
            .add(result.top().getFirst().logprob() - result.top().getLast().logprob());
      }
      running.removeIf(text -> !text.runs(stop));
    }
  }

  /**
   * A trained model of four layers, rounded to 3 bits, on its own texts: rounding alike and not
   * rounding at all.
   */
  @ParameterizedTest
  @ValueSource(strings = {"SYM", "ASYM_ACT_ORDER_V2"})
  void quantizedSpecimen_logProbs(String name) throws Exception {
    GptqVariant variant = (GptqVariant) GptqVariant.class.getField(name).get(null);
    assumeTrue(Specimen.find().isPresent(), "no specimen here");
    Path specimen = Specimen.find().orElseThrow();
    Path copy = TinyCheckpoint.quantizedCopy(specimen, temp.resolve("copy"), variant, 3);
    WordLevel tokenizer = WordLevel.open(specimen);
    DoubleReference rounding = DoubleReference.openRounding(copy);
    DoubleReference exact = DoubleReference.open(copy);
    Difference alike = new Difference();
    Difference cost = new Difference();
    try (WeightStore weights = Lab.load(copy);
        Lab lab = new Lab(weights, new VectorOps(2), KvType.FP32)) {
      for (String line : Files.readAllLines(specimen.resolve("heldout.jsonl")).subList(0, 20)) {
        JsonNode problem = new ObjectMapper().readTree(line);
        String text = problem.get("problem").asText() + problem.get("greedy").asText();
        int[] tokens = tokenizer.encode(text).stream().mapToInt(Integer::intValue).toArray();
        int[] start = Arrays.copyOf(tokens, Math.min(tokens.length, 4 * KvLayout.BLOCK_SIZE));
        logProbs(lab, rounding, start, alike);
        logProbs(lab, exact, start, cost);
      }
    }
    System.out.printf("specimen, %s: log-probs %s; without rounding %s%n", name, alike, cost);
    assertTrue(alike.mean() < 2e-4, "log-probs differ by " + alike.mean());
  }

  /** Texts made by yet another implementation from a model that was really trained. */
  @Test
  void specimen_greedyTexts() throws Exception {
    assumeTrue(Specimen.find().isPresent(), "no specimen here");
    Path directory = Specimen.find().orElseThrow();
    ObjectMapper json = new ObjectMapper();
    WordLevel tokenizer = WordLevel.open(directory);
    List<Text> all = new ArrayList<>();
    List<List<Integer>> expected = new ArrayList<>();
    try (WeightStore weights = Lab.load(directory);
        Lab lab = new Lab(weights, new VectorOps(2), KvType.FP32)) {
      List<Text> batch = new ArrayList<>();
      for (String line : Files.readAllLines(directory.resolve("heldout.jsonl"))) {
        JsonNode problem = json.readTree(line);
        List<Integer> prompt = tokenizer.encode(problem.get("problem").asText());
        prompt.add(2); // <think>
        List<Integer> answer = tokenizer.encode(problem.get("greedy").asText());
        answer.add(1); // <|im_end|>
        expected.add(answer);
        int[] ids = prompt.stream().mapToInt(Integer::intValue).toArray();
        batch.add(new Text(ids, answer.size(), batch.size() * 12));
        if (batch.size() == 30) {
          generate(lab, batch, 1);
          all.addAll(batch);
          batch.clear();
        }
      }
    }
    assertEquals(150, all.size());
    int nearTies = 0;
    for (int i = 0; i < all.size(); i++) {
      Text text = all.get(i);
      if (text.generated.equals(expected.get(i))) {
        continue;
      }
      int at = 0;
      while (text.generated.get(at).equals(expected.get(i).get(at))) {
        at++;
      }
      assertTrue(
          text.gaps.get(at) < 1e-3,
          "text " + i + " differs at " + at + ", where the gap is " + text.gaps.get(at));
      nearTies++;
    }
    System.out.println("specimen: " + (150 - nearTies) + " of 150 greedy texts, to the token");
    assertTrue(nearTies <= 2, nearTies + " near ties");
  }
}

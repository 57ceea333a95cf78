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
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
    DoubleReference reference = DoubleReference.open(directory);
    try (WeightStore weights = Lab.load(directory)) {
      check(reference, weights, new VectorOps(2), family + " " + dtype + " " + variant);
      if (Processor.isSupported()) {
        check(reference, weights, JitOps.open(2), family + " " + dtype + " " + variant);
      }
    }
  }

  private static void check(DoubleReference reference, WeightStore weights, Ops ops, String what) {
    try (Lab lab = new Lab(weights, ops, KvType.FP32)) {
      int[] prompt = new Random(7).ints(PROMPT, 0, lab.vocab).toArray();
      double worst = worstLogProb(lab, reference, prompt);
      System.out.printf("%s, %s: log-probs within %.2g%n", what, ops.name(), worst);
      assertTrue(worst < 1e-3, "log-prob differs by " + worst);

      List<Integer> expected = reference.greedy(prompt, GENERATED, List.of());
      Text text = new Text(prompt, GENERATED, 0);
      generate(lab, List.of(text), -1);
      assertEquals(expected, text.generated);
    }
  }

  private static double worstLogProb(Lab lab, DoubleReference reference, int[] prompt) {
    double[][] expected = reference.logProbs(prompt);
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    batch.beginSequence(new int[] {3, 1, 4, 2});
    for (int p = 0; p < prompt.length; p++) {
      batch.addToken(prompt[p], p);
      plan.add(SamplingRow.score(p, 5, lab.vocab)); // all of them
    }
    double worst = 0;
    List<TokenResult> results = lab.backend.step(batch, plan);
    for (int p = 0; p < prompt.length; p++) {
      assertEquals(lab.vocab, results.get(p).top().size());
      for (TokenResult.TokenLogprob top : results.get(p).top()) {
        worst = Math.max(worst, Math.abs(top.logprob() - expected[p][top.tokenId()]));
      }
      worst = Math.max(worst, Math.abs(results.get(p).logprob() - expected[p][5]));
    }
    return worst;
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

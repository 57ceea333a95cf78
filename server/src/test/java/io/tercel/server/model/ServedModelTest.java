package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.kernels.testing.DoubleReference;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.testing.TestServing;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Checkpoints of every kind served over HTTP against a plain double-precision forward pass: prompt
 * log-probs and greedy continuations.
 */
class ServedModelTest {
  private static final double TOLERANCE = 1e-3;

  /**
   * Free-running, a rounded input that falls to the other side of a tie moves all that follows, so
   * 3-bit models are held on the mean besides; {@code ReferenceTest} holds each linear, fed alike,
   * within 1e-4.
   */
  private static final double MEAN_TOLERANCE_OF_ROUNDED = 3e-4;

  private static final int VOCAB = 300;

  @TempDir private Path directory;

  static Stream<Arguments> checkpoints() {
    return Stream.of(
        Arguments.of("qwen3 bf16 tied", TinyCheckpoint.qwen3().dtype("BF16").tied(true)),
        Arguments.of("qwen3 fp16", TinyCheckpoint.qwen3().dtype("F16")),
        Arguments.of("qwen3 fp32 sharded", TinyCheckpoint.qwen3().dtype("F32").shards(3)),
        Arguments.of("qwen2 bf16 untied", TinyCheckpoint.qwen2().dtype("BF16").tied(false)),
        Arguments.of(
            "qwen2 fp32, new spelling", TinyCheckpoint.qwen2().dtype("F32").newSpelling(true)),
        Arguments.of("qwen3 gptq sym", quantized(TinyCheckpoint.qwen3(), GptqVariant.SYM)),
        Arguments.of("qwen3 gptq asym", quantized(TinyCheckpoint.qwen3(), GptqVariant.ASYM)),
        Arguments.of("qwen2 gptq asym v2", quantized(TinyCheckpoint.qwen2(), GptqVariant.ASYM_V2)),
        Arguments.of(
            "qwen2 gptq act-order", quantized(TinyCheckpoint.qwen2(), GptqVariant.SYM_ACT_ORDER)),
        Arguments.of(
            "qwen3 gptq act-order v2",
            quantized(TinyCheckpoint.qwen3(), GptqVariant.ASYM_ACT_ORDER_V2)));
  }

  private static TinyCheckpoint quantized(TinyCheckpoint checkpoint, GptqVariant variant) {
    return checkpoint.hidden(128).ffn(256).heads(4, 2, 32).gptq(variant);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("checkpoints")
  void logProbsAndGreedy_agreeWithDoubles(String name, TinyCheckpoint checkpoint) throws Exception {
    checkpoint.vocab(VOCAB).write(directory);
    boolean rounds = name.contains("gptq");
    DoubleReference reference =
        rounds ? DoubleReference.openRounding(directory) : DoubleReference.open(directory);
    int[] prompt = new Random(5).ints(40, 0, 256).toArray();
    List<Integer> ids = new ArrayList<>();
    for (int id : prompt) {
      ids.add(id);
    }
    try (TestServing serving = new TestServing(directory, TestServing.fp32())) {
      JsonNode answer =
          serving.post(
              "/v1/completions",
              Map.of(
                  "model",
                  "m",
                  "prompt",
                  ids,
                  "temperature",
                  0,
                  "max_tokens",
                  24,
                  "ignore_eos",
                  true,
                  "prompt_logprobs",
                  0,
                  "return_token_ids",
                  true));
      JsonNode choice = answer.path("choices").path(0);
      double[][] expected = reference.logProbs(prompt);
      double worst = 0;
      double sum = 0;
      for (int i = 1; i < prompt.length; i++) {
        JsonNode entry = choice.path("prompt_logprobs").path(i).path(Integer.toString(prompt[i]));
        double got = entry.path("logprob").asDouble(Double.NaN);
        double difference = Math.abs(got - expected[i - 1][prompt[i]]);
        sum += difference;
        worst = Math.max(worst, difference);
        assertTrue(difference <= TOLERANCE, name + " position " + i + ": " + got + " " + answer);
      }
      double mean = sum / (prompt.length - 1);
      assertTrue(!rounds || mean <= MEAN_TOLERANCE_OF_ROUNDED, name + " on the mean: " + mean);
      List<Integer> generated = new ArrayList<>();
      choice.path("token_ids").forEach(id -> generated.add(id.asInt()));
      assertEquals(reference.greedy(prompt, 24, List.of()), generated, name);
      System.out.println(name + ": |log-prob difference| at most " + worst + ", mean " + mean);
    }
  }

  @Test
  void longPrompt_isCountedAsSuchAndATooLongOneIsRefused() throws Exception {
    TinyCheckpoint.qwen3()
        .hidden(32)
        .ffn(32)
        .layers(1)
        .heads(2, 1, 16)
        .vocab(VOCAB)
        .editConfig(config -> config.put("max_position_embeddings", 65_536))
        .write(directory);
    ServingOptions options = TestServing.fp32();
    options.maxModelLen(50_000);
    try (TestServing serving = new TestServing(directory, options)) {
      JsonNode answer =
          serving.post("/v1/completions", Map.of("prompt", "a".repeat(40_000), "max_tokens", 1));
      assertEquals(40_000, answer.path("usage").path("prompt_tokens").asInt());
      AssertionError refused =
          assertThrows(
              AssertionError.class,
              () -> serving.post("/v1/completions", Map.of("prompt", "a".repeat(50_000))));
      assertTrue(
          String.valueOf(refused.getMessage()).startsWith("400 ")
              && String.valueOf(refused.getMessage()).contains("context_length_exceeded"),
          refused.getMessage());
    }
  }
}

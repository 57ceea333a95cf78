package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.engine.speculation.Speculation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A real model with one token whose embedding is beyond what its arithmetic holds: whoever has it
 * fails and says why, whoever is beside it says what it says alone, to the last bit.
 */
@Timeout(120)
class NanSequenceTest {
  private static final int BROKEN = 7;
  private static final int TOKENS = 24;

  @TempDir private Path directory;

  /** A token and its log-prob's bits. */
  private record Said(int id, int logprob) {}

  /** The message is null unless it failed. */
  private record Outcome(List<Said> said, int cached, String failure) {}

  private WeightStore weights() {
    TinyCheckpoint.qwen3()
        .dtype("F32")
        .tied(false) // or its logit would be infinite
        .editTensors(
            t ->
                t.computeIfPresent(
                    "model.embed_tokens.weight",
                    (_, w) -> {
                      float[] values = w.toFloats();
                      values[BROKEN * 64 + 5] = -3e38f;
                      return RawTensor.floats("F32", values, w.shape());
                    }))
        .write(directory);
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  @ParameterizedTest
  @CsvSource({"FP32,vector", "FP16,vector", "INT4,vector", "FP16,scalar"})
  void mates_areUntouched(KvType type, String ops) throws Exception {
    try (WeightStore weights = weights()) {
      List<int[]> prompts = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        prompts.add(new Random(i).ints(50 + i, BROKEN + 1, 250).toArray());
      }
      List<List<Said>> alone = new ArrayList<>();
      for (int[] prompt : prompts) {
        try (Engine engine = engine(weights, type, ops, 64)) {
          alone.add(read(submit(engine, prompt, 1)).said());
        }
      }
      int[] bad = prompts.getFirst().clone();
      bad[33] = BROKEN;
      try (Engine engine = engine(weights, type, ops, 64)) {
        engine.pause().get();
        List<Generation> generations = new ArrayList<>();
        Generation broken = submit(engine, bad, 2);
        for (int[] prompt : prompts) {
          generations.add(submit(engine, prompt, 1));
        }
        engine.resume(); // all in one batch
        for (int i = 0; i < prompts.size(); i++) {
          Outcome outcome = read(generations.get(i));
          assertEquals(alone.get(i), outcome.said(), "prompt " + i);
        }
        Outcome failed = read(broken);
        assertEquals(List.of(), failed.said());
        assertTrue(failed.failure().contains("the model computed NaN"), failed.failure());
        assertTrue(failed.failure().contains("no other request is affected"), failed.failure());
        awaitIdle(engine);
        assertEquals(1, engine.stats().work().nanSequences());
        assertEquals(2, engine.stats().finished(EngineEvent.FinishReason.ABORT)); // n = 2
        assertTrue(engine.stats().work().steps() > 0);
      }
    }
  }

  /** Three blocks before the token's own; chunks of one block. */
  @ParameterizedTest
  @ValueSource(ints = {16, 512})
  void prefixCache_holdsNoBlockOfIt(int budget) throws Exception {
    try (WeightStore weights = weights();
        Engine engine = engine(weights, KvType.FP16, "vector", budget)) {
      int[] good = new Random(5).ints(100, BROKEN + 1, 250).toArray();
      int[] bad = good.clone();
      bad[50] = BROKEN;
      assertFalse(read(submit(engine, bad, 1)).failure().isEmpty());
      awaitIdle(engine);
      // no chunk with the token was entered
      int sound = budget == 16 ? 3 : 0;
      assertEquals(sound, engine.stats().blocks().cached());
      assertEquals(engine.stats().blocks().total(), engine.stats().blocks().free());
      Outcome again = read(submit(engine, bad, 1));
      assertFalse(again.failure().isEmpty());
      assertEquals(16 * sound, again.cached());
      Outcome sane = read(submit(engine, good, 1));
      assertEquals("", sane.failure());
      try (Engine fresh = engine(weights, KvType.FP16, "vector", budget)) {
        assertEquals(read(submit(fresh, good, 1)).said(), sane.said());
      }
      awaitIdle(engine);
      assertEquals(2, engine.stats().work().nanSequences());
    }
  }

  /**
   * One says the token and fails. That teaches others to guess it, who verify it, compute NaN
   * behind it, and say what they say all the same.
   */
  @ParameterizedTest
  @CsvSource({"FP32,vector", "FP16,vector", "INT4,vector", "FP16,scalar"})
  void drafted_isOnlyGuessed(KvType type, String ops) throws Exception {
    try (WeightStore weights = weights()) {
      int[] prompt = new Random(8).ints(20, BROKEN + 1, 250).toArray();
      List<Said> alone;
      try (Engine engine = engine(weights, type, ops, 64)) {
        alone = read(submit(engine, prompt, 1)).said();
      }
      EngineConfig config =
          EngineConfig.builder(300, weights.config().vocabSize())
              .speculation(new Speculation(Speculation.Method.SUFFIX, 7, true))
              .build();
      try (Engine engine = new Engine(backend(weights, type, ops), config)) {
        SamplingParams says =
            SamplingParams.builder().maxTokens(TOKENS).logitBias(Map.of(BROKEN, 100f)).build();
        int[] longer = Arrays.copyOf(prompt, prompt.length + 1); // as the others go on
        longer[prompt.length] = alone.getFirst().id();
        Outcome failed = read(engine.submit(new GenerationRequest("b", longer, says)));
        assertEquals(BROKEN, failed.said().getLast().id());
        assertTrue(failed.failure().contains("the model computed NaN"), failed.failure());
        for (int i = 0; i < 2; i++) {
          long drafted = engine.stats().drafts().tokens();
          assertEquals(new Outcome(alone, 16, ""), read(submit(engine, prompt, 1)));
          awaitIdle(engine);
          assertTrue(engine.stats().drafts().tokens() > drafted, "drafts");
        }
        assertEquals(1, engine.stats().work().nanSequences());
      }
    }
  }

  /** Until the reading is of after the last end. */
  private static void awaitIdle(Engine engine) throws InterruptedException {
    while (engine.stats().running() + engine.stats().waiting() > 0) {
      Thread.sleep(1);
    }
  }

  private static Engine engine(WeightStore weights, KvType type, String name, int budget) {
    return new Engine(
        backend(weights, type, name),
        EngineConfig.builder(300, weights.config().vocabSize())
            .maxNumSeqs(8)
            .maxNumBatchedTokens(budget)
            .maxWaiting(100)
            .build());
  }

  private static CpuBackend backend(WeightStore weights, KvType type, String name) {
    Ops ops = name.equals("scalar") ? new ScalarOps() : new VectorOps(2);
    return new CpuBackend(weights, ops, KvLayout.of(weights.config(), type), 64);
  }

  private static Generation submit(Engine engine, int[] prompt, int n) {
    SamplingParams params =
        SamplingParams.builder()
            .n(n)
            .maxTokens(TOKENS)
            .ignoreEos(true)
            .logitBias(Map.of(BROKEN, -100f)) // nobody draws it
            .build();
    return engine.submit(new GenerationRequest("i", prompt, params));
  }

  private static Outcome read(Generation generation) throws InterruptedException {
    List<Said> said = new ArrayList<>();
    int cached = 0;
    while (true) {
      switch (generation.take()) {
        case EngineEvent.Started started -> cached = started.cachedTokens();
        case EngineEvent.Token t ->
            said.add(new Said(t.result().tokenId(), Float.floatToIntBits(t.result().logprob())));
        case EngineEvent.Finished _ -> {
          return new Outcome(said, cached, "");
        }
        case EngineEvent.Failed failed -> {
          return new Outcome(said, cached, failed.message());
        }
        case EngineEvent other -> throw new AssertionError(other.toString());
      }
    }
  }
}

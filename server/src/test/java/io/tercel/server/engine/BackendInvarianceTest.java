package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.jit.JitOps;
import io.tercel.kernels.jit.Processor;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A real model says the same, log-probs to the last bit, whether a prefix was cached, a sequence
 * preempted, or a prompt cut into chunks. Sampled at temperature 1, so that any difference would
 * soon be another text.
 */
@Timeout(120)
class BackendInvarianceTest {
  private static final int TOKENS = 80;

  @TempDir private Path directory;

  /** A token and its log-prob's bits. */
  private record Said(int id, int logprob) {}

  private record Outcome(List<Said> said, int cached) {}

  @ParameterizedTest
  @EnumSource(KvType.class)
  void cachedPreemptedAndChunked_differByNothing(KvType type) throws Exception {
    TinyCheckpoint.qwen3().write(directory);
    try (Checkpoint checkpoint = Checkpoint.open(directory);
        WeightStore weights = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT)) {
      List<int[]> prompts = prompts();
      List<List<Said>> alone = new ArrayList<>();
      for (int i = 0; i < prompts.size(); i++) { // nothing before it, nothing beside it
        try (Engine engine = engine(weights, type, 64, 512)) {
          Outcome cold = read(submit(engine, prompts.get(i), i));
          assertEquals(0, cold.cached());
          alone.add(cold.said());
        }
      }
      prefixHits(weights, type, prompts, alone);
      preemptions(weights, type, prompts, alone);
    }
  }

  private static void prefixHits(
      WeightStore weights, KvType type, List<int[]> prompts, List<List<Said>> alone)
      throws InterruptedException {
    try (Engine engine = engine(weights, type, 64, 512)) {
      for (int i = 0; i < prompts.size(); i++) {
        Outcome outcome = read(submit(engine, prompts.get(i), i));
        assertEquals(alone.get(i), outcome.said(), "prompt " + i);
        assertEquals(i == 0 ? 0 : 64, outcome.cached(), "prompt " + i);
      }
      Outcome again = read(submit(engine, prompts.getFirst(), 0));
      assertEquals(alone.getFirst(), again.said());
      assertTrue(again.cached() >= 64);
    }
  }

  /** Chunks of 16 tokens at most, and blocks for a third of what is asked. */
  private static void preemptions(
      WeightStore weights, KvType type, List<int[]> prompts, List<List<Said>> alone)
      throws InterruptedException {
    try (Engine engine = engine(weights, type, 20, 16)) {
      List<Generation> generations = new ArrayList<>();
      for (int i = 0; i < prompts.size(); i++) {
        generations.add(submit(engine, prompts.get(i), i));
      }
      for (int i = 0; i < prompts.size(); i++) {
        assertEquals(alone.get(i), read(generations.get(i)).said(), "prompt " + i);
      }
      EngineStats stats = engine.stats();
      System.out.println(type + ": " + stats);
      assertTrue(stats.work().preemptions() > 0, "preemptions");
      assertTrue(stats.prefix().recovered() > 0, "blocks found again");
    }
  }

  /** Four blocks that all share, then each its own. */
  private static List<int[]> prompts() {
    Random random = new Random(3);
    int[] shared = random.ints(64, 0, 256).toArray();
    List<int[]> prompts = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      int[] prompt = new int[70 + 7 * i];
      for (int t = 0; t < prompt.length; t++) {
        prompt[t] = t < 64 ? shared[t] : random.nextInt(256);
      }
      prompts.add(prompt);
    }
    return prompts;
  }

  private static Engine engine(WeightStore weights, KvType type, int blocks, int budget) {
    Ops ops = Processor.isSupported() ? JitOps.open(2) : new VectorOps(2); // as --backend auto
    CpuBackend backend = new CpuBackend(weights, ops, KvLayout.of(weights.config(), type), blocks);
    return new Engine(
        backend,
        EngineConfig.builder(300, weights.config().vocabSize())
            .maxNumSeqs(8)
            .maxNumBatchedTokens(budget)
            .maxWaiting(100)
            .build());
  }

  private static Generation submit(Engine engine, int[] prompt, long seed) {
    SamplingParams params =
        SamplingParams.builder()
            .maxTokens(TOKENS)
            .temperature(1)
            .seed(seed)
            .ignoreEos(true)
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
          assertEquals(TOKENS, said.size());
          return new Outcome(said, cached);
        }
        case EngineEvent other -> throw new AssertionError(other.toString());
      }
    }
  }
}

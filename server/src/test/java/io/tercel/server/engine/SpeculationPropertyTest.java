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
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.engine.speculation.Speculation;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Speculation changes nothing that a client is told: tokens, log-probs to the last bit, ranks,
 * alternatives, prompt scores, forced tokens and ends are the same with it and without, for {@link
 * DraftTraffic} that shares steps, prefixes and too few blocks. Every draft is verified, whether it
 * pays or not.
 */
@Timeout(120)
class SpeculationPropertyTest {
  @TempDir private Path directory;

  @ParameterizedTest
  @CsvSource({"1,NGRAM,FP32", "2,SUFFIX,FP16", "3,SUFFIX,INT4"})
  void realModel_saysTheSame(long seed, Speculation.Method method, KvType type) throws Exception {
    TinyCheckpoint.qwen3().write(directory);
    try (Checkpoint checkpoint = Checkpoint.open(directory);
        WeightStore weights = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT)) {
      int vocab = weights.config().vocabSize();
      saysTheSame(seed, 40, vocab, method, 16, () -> backend(weights, type));
    }
  }

  private static Backend backend(WeightStore weights, KvType type) {
    return new CpuBackend(
        weights,
        Processor.isSupported() ? JitOps.open(2) : new VectorOps(2), // as --backend auto
        KvLayout.of(weights.config(), type),
        30);
  }

  /** Four ids, so that much comes true by chance. */
  @ParameterizedTest
  @CsvSource({"11,NGRAM", "12,NGRAM", "13,SUFFIX", "14,SUFFIX", "15,SUFFIX"})
  void simulatedModel_saysTheSame(long seed, Speculation.Method method) throws Exception {
    saysTheSame(seed, 150, 4, method, 24, SpeculationPropertyTest::simulated);
  }

  private static Backend simulated() {
    FakeBackend backend = new FakeBackend(60, 4, DraftTraffic.END + 1);
    backend.model((keys, length) -> FakeBackend.say(keys, length, 4, 0, 0));
    return backend;
  }

  private interface Backends {
    Backend open();
  }

  private static void saysTheSame(
      long seed, int requests, int vocab, Speculation.Method method, int budget, Backends backends)
      throws Exception {
    List<GenerationRequest> traffic = DraftTraffic.requests(seed, requests, vocab);
    List<List<DraftTraffic.Told>> plain;
    long steps;
    try (Engine engine = engine(backends.open(), vocab, budget, Speculation.OFF)) {
      plain = DraftTraffic.answers(engine, traffic);
      steps = engine.stats().work().steps();
    }
    try (Engine engine = engine(backends.open(), vocab, budget, new Speculation(method, 7, true))) {
      List<List<DraftTraffic.Told>> told = DraftTraffic.answers(engine, traffic);
      for (int i = 0; i < traffic.size(); i++) {
        assertEquals(plain.get(i), told.get(i), "request " + i + ": " + traffic.get(i).params());
      }
      EngineStats stats = engine.stats();
      System.out.println(stats);
      assertTrue(stats.drafts().accepted() > 100, "drafts that came true");
      assertTrue(stats.drafts().tokens() > stats.drafts().accepted() + 100, "drafts that did not");
      assertTrue(stats.work().steps() < steps, "fewer steps");
      assertTrue(stats.work().preemptions() > 0, "preemptions");
      assertTrue(stats.prefix().hits() > 0, "prefix hits");
    }
  }

  private static Engine engine(Backend backend, int vocab, int budget, Speculation speculation) {
    return new Engine(
        backend,
        EngineConfig.builder(200, Math.max(vocab, DraftTraffic.END + 1))
            .maxNumSeqs(8)
            .maxNumBatchedTokens(budget)
            .maxWaiting(10_000)
            .eosTokenIds(Set.of(DraftTraffic.END))
            .speculation(speculation)
            .build());
  }
}

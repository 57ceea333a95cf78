package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.NonFiniteWeightsException;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A trainer writes NaN between two steps: it is told, and no token of such weights is served. */
@Timeout(60)
class NonFiniteUpdateEngineTest {
  private static final int TOKENS = 200;

  @TempDir private Path directory;

  @Test
  void nanFromATrainer_isServedToNobody_andSoundWeightsAreServedAgain() throws Exception {
    TinyCheckpoint.qwen3().write(directory);
    try (WeightStore weights = load();
        WeightStore sound = load();
        Engine engine = engine(weights)) {
      List<Integer> alone = said(submit(engine));
      assertEquals(TOKENS, alone.size());
      Generation running = submit(engine);
      assertInstanceOf(EngineEvent.Started.class, running.take());
      assertInstanceOf(EngineEvent.Token.class, running.take());
      ExecutionException told =
          assertThrows(
              ExecutionException.class,
              () ->
                  engine
                      .betweenSteps(
                          () -> {
                            weights.update(
                                () -> weights.layers().getFirst().inputNorm()[3] = Float.NaN);
                            return null;
                          })
                      .get(10, TimeUnit.SECONDS));
      assertInstanceOf(NonFiniteWeightsException.class, told.getCause());
      assertNames(failure(running));
      assertNames(failure(submit(engine)));
      engine
          .betweenSteps(
              () -> {
                weights.replaceWith(sound);
                return null;
              })
          .get(10, TimeUnit.SECONDS);
      assertEquals(alone, said(submit(engine)));
    }
  }

  private static void assertNames(String failure) {
    assertTrue(failure.contains("model.layers.0.input_layernorm has NaN in element 3"), failure);
  }

  private WeightStore load() {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  private static Engine engine(WeightStore weights) {
    KvLayout layout = KvLayout.of(weights.config(), KvType.FP16);
    return new Engine(
        new CpuBackend(weights, new VectorOps(2), layout, 64),
        EngineConfig.builder(300, weights.config().vocabSize()).build());
  }

  private static Generation submit(Engine engine) {
    SamplingParams params = SamplingParams.builder().maxTokens(TOKENS).ignoreEos(true).build();
    return engine.submit(new GenerationRequest("i", new int[] {1, 2, 3}, params));
  }

  private static List<Integer> said(Generation generation) throws InterruptedException {
    List<Integer> said = new ArrayList<>();
    while (true) {
      switch (generation.take()) {
        case EngineEvent.Started _ -> {}
        case EngineEvent.Token t -> said.add(t.result().tokenId());
        case EngineEvent.Finished _ -> {
          return said;
        }
        case EngineEvent other -> throw new AssertionError(other.toString());
      }
    }
  }

  /** What it failed with, all its tokens being of the first weights. */
  private static String failure(Generation generation) throws InterruptedException {
    while (true) {
      switch (generation.take()) {
        case EngineEvent.Started _ -> {}
        case EngineEvent.Token t -> assertEquals(0, t.weightVersion(), "of damaged weights");
        case EngineEvent.Failed failed -> {
          return failed.message();
        }
        case EngineEvent other -> throw new AssertionError(other.toString());
      }
    }
  }
}

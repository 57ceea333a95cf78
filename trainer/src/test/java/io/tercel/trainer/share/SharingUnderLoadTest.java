package io.tercel.trainer.share;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineConfig;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.engine.EngineEvent.Finished;
import io.tercel.server.engine.EngineEvent.Token;
import io.tercel.server.engine.Generation;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.StaleKv;
import io.tercel.server.model.RunningEngine;
import io.tercel.server.model.ServingOptions;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Requests run while weights are published. */
@Timeout(120)
class SharingUnderLoadTest {
  /** More than a client's queue holds, so that a sequence can't have ended before it is read. */
  private static final int TOKENS = 600;

  @TempDir private Path directory;

  private record Answer(List<Token> tokens, Finished end) {}

  @BeforeEach
  void write() {
    TinyCheckpoint.qwen3()
        .hidden(128)
        .ffn(256)
        .heads(4, 2, 32)
        .gptq(GptqVariant.ASYM_V2)
        .write(directory);
  }

  private RunningEngine run() {
    ServingOptions options =
        new ServingOptions().backend("vector").threads(1).maxModelLen(1024).kvCacheDtype("fp32");
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return RunningEngine.open(checkpoint, options, Set.of(), LoadProgress.SILENT);
    }
  }

  private static Generation submit(Engine engine, int[] prompt, int tokens, StaleKv staleKv) {
    SamplingParams params =
        SamplingParams.builder().maxTokens(tokens).temperature(0).ignoreEos(true).build();
    return engine.submit(new GenerationRequest("r", prompt, params).withStaleKv(staleKv));
  }

  /** The next so many tokens, or all that come. */
  private static Answer read(Generation generation, int atMost) throws InterruptedException {
    List<Token> tokens = new ArrayList<>();
    while (tokens.size() < atMost) {
      switch (generation.take()) {
        case Token token -> tokens.add(token);
        case Finished end -> {
          return new Answer(tokens, end);
        }
        case EngineEvent.Started _ -> {}
        case EngineEvent other -> throw new AssertionError(other.toString());
      }
    }
    return new Answer(tokens, new Finished(0, EngineEvent.FinishReason.LENGTH, -1));
  }

  @Test
  void noRequestFails_andEachTokenSaysItsVersion() throws Exception {
    int publications = 60;
    try (Arena arena = Arena.ofShared();
        RunningEngine running = run();
        ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      TinyStudent student = new TinyStudent(directory, arena, 3);
      WeightSharing sharing = new WeightSharing(running, student.trained());
      List<Future<List<Answer>>> all = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        int[] prompt = {i, 5, 7};
        StaleKv staleKv = i % 2 == 0 ? StaleKv.KEEP : StaleKv.DROP;
        all.add(clients.submit(() -> untilPublished(running, prompt, staleKv, publications)));
      }
      for (int i = 1; i <= publications; i++) {
        student.step(0.05);
        assertEquals(i, sharing.publish().version());
      }
      int answers = 0;
      int mixed = 0;
      for (Future<List<Answer>> client : all) {
        for (Answer answer : client.get()) {
          long last = 0;
          for (Token token : answer.tokens()) {
            assertTrue(token.weightVersion() >= last, "versions rise");
            last = token.weightVersion();
          }
          assertTrue(last <= publications);
          assertEquals(60, answer.tokens().size());
          assertEquals(EngineEvent.FinishReason.LENGTH, answer.end().reason());
          mixed += last == answer.tokens().getFirst().weightVersion() ? 0 : 1;
          answers++;
        }
      }
      System.out.println(answers + " answers, " + mixed + " of several versions");
      assertTrue(mixed > 0, "of " + answers);
      assertEquals(0, running.engine().stats().work().nanSequences());
      assertFalse(running.engine().failed());
    }
  }

  /** Asks again until an answer has been of the last weights alone. */
  private static List<Answer> untilPublished(
      RunningEngine running, int[] prompt, StaleKv staleKv, int publications)
      throws InterruptedException {
    List<Answer> answers = new ArrayList<>();
    do {
      answers.add(read(submit(running.engine(), prompt, 60, staleKv), Integer.MAX_VALUE));
    } while (answers.getLast().tokens().getFirst().weightVersion() < publications);
    return answers;
  }

  /** Weights that change within a step would make a token of two versions. */
  @Test
  void noStepSeesTwoVersions() throws Exception {
    try (Arena arena = Arena.ofShared();
        Checkpoint checkpoint = Checkpoint.open(directory);
        WeightStore weights = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT)) {
      KvLayout layout = KvLayout.of(weights.config(), KvType.FP32);
      Watch watch = new Watch(new CpuBackend(weights, new VectorOps(1), layout, 128), weights);
      EngineConfig config = EngineConfig.builder(1024, weights.config().vocabSize()).build();
      try (Engine engine = new Engine(watch, config);
          ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
        TinyStudent student = new TinyStudent(directory, arena, 3);
        WeightSharing sharing = new WeightSharing(engine, weights, student.trained());
        AtomicBoolean done = new AtomicBoolean();
        Future<?> client =
            clients.submit(
                () -> {
                  while (!done.get()) {
                    read(submit(engine, new int[] {1, 2, 3}, 50, StaleKv.KEEP), 100);
                  }
                  return null;
                });
        for (int i = 1; i <= 10; i++) {
          student.step(0.1);
          watch.awaitStep(); // so that it is published while one computes
          assertEquals(i, sharing.publish().version());
        }
        done.set(true);
        client.get();
      }
      assertEquals(List.of(), watch.mixed);
    }
  }

  /** A backend whose steps wait a little for weights to be published into them. */
  private static final class Watch implements Backend {
    private static final long PATIENCE = 20_000_000;

    final List<String> mixed = new CopyOnWriteArrayList<>();
    private final Backend backend;
    private final WeightStore weights;
    private volatile @Nullable CountDownLatch awaited;

    Watch(Backend backend, WeightStore weights) {
      this.backend = backend;
      this.weights = weights;
    }

    void awaitStep() throws InterruptedException {
      CountDownLatch latch = new CountDownLatch(1);
      awaited = latch;
      latch.await();
    }

    @Override
    public List<TokenResult> step(StepBatch batch, SamplingPlan plan) {
      long before = weights.version();
      CountDownLatch latch = awaited;
      if (latch != null) {
        awaited = null;
        latch.countDown();
        long until = System.nanoTime() + PATIENCE;
        while (weights.version() == before && System.nanoTime() < until) {
          Thread.onSpinWait();
        }
      }
      List<TokenResult> results = backend.step(batch, plan);
      if (weights.version() != before) {
        mixed.add(before + " and " + weights.version());
      }
      return results;
    }

    @Override
    public String name() {
      return backend.name();
    }

    @Override
    public int blockSize() {
      return backend.blockSize();
    }

    @Override
    public int numBlocks() {
      return backend.numBlocks();
    }

    @Override
    public long weightVersion() {
      return backend.weightVersion();
    }

    @Override
    public long keyVersion() {
      return backend.keyVersion();
    }

    @Override
    public void close() {
      backend.close();
    }
  }

  /**
   * A request that drops its cache goes on as if the new weights had read all of it; one that keeps
   * it does not.
   */
  @Test
  void cacheIsDroppedOrKept_asTheRequestSays() throws Exception {
    try (Arena arena = Arena.ofShared();
        RunningEngine running = run()) {
      TinyStudent student = new TinyStudent(directory, arena, 3);
      WeightSharing sharing = new WeightSharing(running, student.trained());
      for (StaleKv staleKv : StaleKv.values()) {
        int[] prompt = {1, 2, 3, 4, 5};
        long version = sharing.publish().version();
        Generation generation = submit(running.engine(), prompt, TOKENS, staleKv);
        List<Token> tokens = new ArrayList<>(read(generation, 3).tokens());
        student.step(0.5);
        assertEquals(version + 1, sharing.publish().version());
        Answer rest = read(generation, Integer.MAX_VALUE);
        tokens.addAll(rest.tokens());
        assertEquals(TOKENS, tokens.size());
        assertEquals(List.of(), rest.end().brokenKv());
        int old = (int) tokens.stream().filter(t -> t.weightVersion() == version).count();
        assertTrue(old >= 3 && old < TOKENS, old + " of the old weights");
        Token first = tokens.get(old);
        assertEquals(version + 1, first.weightVersion());
        Token fresh =
            read(submit(running.engine(), said(prompt, tokens, old), 1, staleKv), 1)
                .tokens()
                .getFirst();
        if (staleKv == StaleKv.DROP) {
          assertEquals(fresh.result().tokenId(), first.result().tokenId());
          assertEquals(fresh.result().logprob(), first.result().logprob());
        } else {
          assertNotEquals(fresh.result().logprob(), first.result().logprob());
        }
      }
    }
  }

  private static int[] said(int[] prompt, List<Token> tokens, int count) {
    int[] all = Arrays.copyOf(prompt, prompt.length + count);
    for (int i = 0; i < count; i++) {
      all[prompt.length + i] = tokens.get(i).result().tokenId();
    }
    return all;
  }
}

package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.speculation.Speculation;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What drafts are given, and what happens at their edges. */
@Timeout(60)
class SpeculationTest {
  private static final int EOS = 96;
  private static final int VOCAB = 97;

  private static Engine engine(FakeBackend backend, int budget) {
    return new Engine(
        backend,
        EngineConfig.builder(1500, VOCAB)
            .maxNumSeqs(4)
            .maxNumBatchedTokens(budget)
            .maxWaiting(100)
            .eosTokenIds(Set.of(EOS))
            .speculation(new Speculation(Speculation.Method.NGRAM, 7, true))
            .build());
  }

  private static Generation submit(Engine engine, int maxTokens) {
    return engine.submit(
        new GenerationRequest(
            "r",
            new int[] {1, 2, 3, 1, 2, 3},
            SamplingParams.builder().maxTokens(maxTokens).build()));
  }

  private static List<Integer> read(Generation generation) throws InterruptedException {
    List<Integer> ids = new ArrayList<>();
    while (true) {
      switch (generation.take()) {
        case EngineEvent.Token token -> ids.add(token.result().tokenId());
        case EngineEvent.Finished _ -> {
          return ids;
        }
        case EngineEvent.Failed failed -> throw new AssertionError(failed.message());
        case EngineEvent _ -> {}
      }
    }
  }

  /** Counts 1 2 3 1 2 3 ... */
  private static int periodic(int[] keys, int length) {
    return keys[length - 1] % 3 + 1;
  }

  /** 100 tokens, eight a step, the first with the prompt. */
  @Test
  void certain_takesAnEighthOfTheSteps() throws Exception {
    FakeBackend backend = new FakeBackend(100, 4, VOCAB);
    backend.model(SpeculationTest::periodic);
    try (Engine engine = engine(backend, 64)) {
      assertEquals(100, read(submit(engine, 100)).size());
      assertEquals(1 + Math.ceilDiv(99, 8), backend.tokensPerStep().size());
      awaitIdle(engine);
      EngineStats.Drafts drafts = engine.stats().drafts();
      assertEquals(drafts.tokens(), drafts.accepted());
      assertEquals(99 - drafts.drafts(), drafts.accepted());
      assertEquals(drafts.drafts(), drafts.acceptedByPlace().getFirst());
    }
  }

  /** A step never has more rows than its budget, nor computes what can't be said any more. */
  @Test
  void budgetAndLastToken_boundTheDraft() throws Exception {
    FakeBackend backend = new FakeBackend(100, 4, VOCAB);
    backend.model(SpeculationTest::periodic);
    try (Engine engine = engine(backend, 5)) {
      assertEquals(23, read(submit(engine, 23)).size());
      assertEquals(List.of(5, 5, 5, 5, 5, 3), backend.tokensPerStep());
    }
  }

  /** The pool holds the longest sequence exactly: there is no room beyond. */
  @Test
  void lastBlock_boundsTheDraft() throws Exception {
    FakeBackend backend = new FakeBackend(10, 4, VOCAB);
    backend.model(SpeculationTest::periodic);
    try (Engine engine = engine(backend, 64)) {
      assertEquals(40, engine.maxModelLen());
      assertEquals(34, read(submit(engine, 34)).size());
      awaitIdle(engine);
      assertEquals(0, engine.stats().work().preemptions());
      assertEquals(10, engine.stats().blocks().free());
    }
  }

  /** Drafts are always wrong; room that they were given is taken back before anybody lacks it. */
  @Test
  void wrongDraft_keepsNoBlock() {
    BlockManager blocks = new BlockManager(10, 4, true);
    SchedulerLab lab = new SchedulerLab(10, 4, 64);
    Sequence s = lab.add(ServiceClass.CHAT, 6);
    assertTrue(blocks.allocate(s, 6));
    assertTrue(blocks.allocate(s, 6 + 7));
    assertEquals(6, blocks.numFree());
    blocks.trim(s);
    assertEquals(8, blocks.numFree());
    assertEquals(2, s.numBlocks());
    blocks.checkInvariants(List.of(s));
  }

  /** The queue holds 256 tokens, also where a step says eight. */
  @Test
  void clientThatDoesNotRead_getsNoMoreThanItsQueueHolds() throws Exception {
    FakeBackend backend = new FakeBackend(400, 4, VOCAB);
    backend.model(SpeculationTest::periodic);
    try (Engine engine = engine(backend, 64)) {
      Generation generation = submit(engine, 1000);
      while (engine.stats().stalled() == 0) {
        LockSupport.parkNanos(100_000);
      }
      assertEquals(QueuedGeneration.CAPACITY, engine.stats().work().generationTokens());
      List<Integer> ids = read(generation);
      for (int i = 0; i < 1000; i++) {
        assertEquals(i % 3 + 1, ids.get(i));
      }
    }
  }

  /** Fails whatever step holds a draft. */
  private static final class Fragile extends FakeBackend {
    private int failed;

    Fragile() {
      super(100, 4, VOCAB);
      model(SpeculationTest::periodic);
    }

    @Override
    public List<TokenResult> step(StepBatch batch, SamplingPlan plan) {
      if (plan.size() > batch.numSequences()) {
        failed++;
        throw new IllegalStateException("a row more than sequences");
      }
      return super.step(batch, plan);
    }
  }

  @Test
  void stepThatFailsWithADraft_isTriedWithout() throws Exception {
    Fragile backend = new Fragile();
    try (Engine engine = engine(backend, 64)) {
      Generation other = submit(engine, 20);
      assertEquals(20, read(submit(engine, 20)).size());
      assertEquals(20, read(other).size());
      assertEquals(20, read(submit(engine, 20)).size()); // with nobody beside it
      assertTrue(backend.failed > 0);
      assertTrue(engine.ready());
    }
  }

  /** A draft ends before what ends the choice. */
  @Test
  void endToken_isNeverComputed() throws Exception {
    FakeBackend backend =
        new FakeBackend(100, 4, VOCAB) {
          @Override
          public List<TokenResult> step(StepBatch batch, SamplingPlan plan) {
            for (int row = 0; row < batch.numTokens(); row++) {
              assertFalse(batch.tokenId(row) == EOS && batch.position(row) > 5);
            }
            return super.step(batch, plan);
          }
        };
    backend.model((keys, length) -> length < 12 ? 7 : length == 12 ? EOS : 8);
    try (Engine engine = engine(backend, 64)) {
      int[] prompt = {7, 7, EOS, 7, 7, EOS};
      SamplingParams params = SamplingParams.builder().maxTokens(50).build();
      assertEquals(
          List.of(7, 7, 7, 7, 7, 7, EOS),
          read(engine.submit(new GenerationRequest("r", prompt, params))));
    }
  }

  private static void awaitIdle(Engine engine) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (engine.stats().running() + engine.stats().waiting() > 0) {
      assertTrue(System.nanoTime() < deadline, "not idle");
      LockSupport.parkNanos(1_000_000);
    }
  }
}

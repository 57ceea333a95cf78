package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.testing.EngineRounds;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Pausing between steps, and ending requests by their ids. */
@Timeout(60)
class PauseTest {
  private final FakeBackend backend = new FakeBackend(64, 4, 97);
  private final Engine engine =
      new Engine(
          backend,
          EngineConfig.builder(200, 97)
              .maxNumSeqs(16)
              .maxNumBatchedTokens(64)
              .maxWaiting(32)
              .build());

  @AfterEach
  void close() {
    backend.open();
    engine.close();
  }

  private Generation submit(String id, int maxTokens) {
    return engine.submit(
        new GenerationRequest(id, new int[] {1, 2, 3}, SamplingParams.greedy(maxTokens)));
  }

  /** All tokens of one that ends for that reason. */
  private static List<Integer> read(Generation generation, FinishReason reason) throws Exception {
    List<Integer> tokens = new ArrayList<>();
    while (true) {
      switch (generation.take()) {
        case EngineEvent.Token t -> tokens.add(t.result().tokenId());
        case EngineEvent.Finished f -> {
          assertEquals(reason, f.reason());
          return tokens;
        }
        case EngineEvent.Started _, EngineEvent.PromptScored _ -> {}
        case EngineEvent.Failed f -> throw new AssertionError(f.message());
      }
    }
  }

  @Test
  void paused_takesNoStep_resumedGoesOnWhereItWas() throws Exception {
    List<Integer> expected = read(submit("a", 100), FinishReason.LENGTH);
    var gate = backend.gate();
    Generation generation = submit("b", 100);
    gate.release(10);
    while (engine.stats().work().generationTokens() < 108) {
      Thread.sleep(1);
    }
    while (!backend.inStep()) { // it holds at the gate, so it stays so
      Thread.onSpinWait();
    }
    var paused = engine.pause();
    assertFalse(paused.isDone(), "a step is under way");
    backend.open();
    paused.get(10, TimeUnit.SECONDS);
    assertTrue(engine.paused());
    int steps = backend.sequencesPerStep().size();
    EngineRounds.of(engine);
    assertEquals(steps, backend.sequencesPerStep().size());
    assertEquals(7L, (long) engine.betweenSteps(() -> 7L).get(10, TimeUnit.SECONDS));
    assertEquals(1, engine.stats().running(), "it holds what it has");

    engine.resume();
    assertEquals(expected, read(generation, FinishReason.LENGTH));
  }

  @Test
  void abort_endsThoseMeant_alsoWhilePaused() throws Exception {
    engine.pause().get(10, TimeUnit.SECONDS);
    Generation one = submit("one", 50);
    Generation two = submit("two", 50);
    assertEquals(0, engine.abort("three"::equals).get(10, TimeUnit.SECONDS));
    assertEquals(1, engine.abort("one"::equals).get(10, TimeUnit.SECONDS));
    assertEquals(List.of(), read(one, FinishReason.ABORT));
    engine.resume();
    assertEquals(50, read(two, FinishReason.LENGTH).size());
    assertEquals(0, engine.abort(_ -> true).get(10, TimeUnit.SECONDS));
  }
}

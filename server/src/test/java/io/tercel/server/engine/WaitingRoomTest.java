package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How many may wait: each class for itself; and who is aborted by what it began with. */
@Timeout(60)
class WaitingRoomTest {
  private final FakeBackend backend = new FakeBackend(64, 4, 97);
  private Engine engine = engine(8);

  private Engine engine(int maxWaiting) {
    return new Engine(
        backend,
        EngineConfig.builder(200, 97)
            .maxNumSeqs(4)
            .maxNumBatchedTokens(64)
            .maxWaiting(maxWaiting)
            .build());
  }

  @AfterEach
  void close() {
    backend.open();
    engine.close();
  }

  private static GenerationRequest request(ServiceClass c, int n) {
    SamplingParams params = SamplingParams.builder().n(n).maxTokens(20).build();
    return new GenerationRequest(c.label(), new int[] {1, 2, 3}, params).withServiceClass(c);
  }

  private static void readAll(Generation generation, int n) throws InterruptedException {
    for (int open = n; open > 0; ) {
      EngineEvent event = generation.take();
      assertFalse(event instanceof EngineEvent.Failed, event.toString());
      open -= event instanceof EngineEvent.Finished ? 1 : 0;
    }
  }

  @Test
  void rolloutsThatWait_lockNoChatOut() throws Exception {
    engine.pause().get(10, TimeUnit.SECONDS);
    for (int i = 0; i < 8; i++) {
      engine.submit(request(ServiceClass.ROLLOUT, 1));
    }
    OverloadedException full =
        assertThrows(
            OverloadedException.class, () -> engine.submit(request(ServiceClass.ROLLOUT, 1)));
    assertFalse(full.closing());
    assertTrue(full.toString().contains("rollout"), full.getMessage());
    Generation chat = engine.submit(request(ServiceClass.CHAT, 1));
    assertEquals(8, engine.stats().of(ServiceClass.ROLLOUT).waiting());
    assertEquals(1, engine.stats().of(ServiceClass.CHAT).waiting());
    engine.resume();
    readAll(chat, 1);
  }

  @Test
  void moreChoicesThanMayEverWait_areRefusedByName() {
    InvalidRequestException e =
        assertThrows(
            InvalidRequestException.class, () -> engine.submit(request(ServiceClass.CHAT, 9)));
    assertEquals("n", e.param());
    assertTrue(e.toString().contains("at most 8 of class chat may wait"), e.getMessage());
    List<GenerationRequest> nine =
        java.util.stream.Stream.generate(() -> request(ServiceClass.CHAT, 3)).limit(3).toList();
    assertThrows(InvalidRequestException.class, () -> engine.submit(nine), "prompts count too");
    assertEquals(0, engine.stats().waiting(), "none of them was taken");
  }

  /** An idle engine takes what it can run at once, whatever may wait. */
  @Test
  void idle_takesAsManyChoicesAsRun() throws Exception {
    engine.close();
    engine = engine(0);
    readAll(engine.submit(request(ServiceClass.CHAT, 4)), 4);
    assertThrows(InvalidRequestException.class, () -> engine.submit(request(ServiceClass.CHAT, 5)));
    engine.pause().get(10, TimeUnit.SECONDS);
    engine.submit(request(ServiceClass.CHAT, 1));
    assertThrows(OverloadedException.class, () -> engine.submit(request(ServiceClass.CHAT, 1)));
  }

  @Test
  void abortStartedBefore_endsWhatOlderWeightsBegan() throws Exception {
    var gate = backend.gate();
    Generation old = engine.submit(request(ServiceClass.ROLLOUT, 2));
    gate.release(3);
    while (engine.stats().work().generationTokens() < 3) {
      Thread.onSpinWait();
    }
    var pausing = engine.pause(); // the step under way waits at the gate
    Generation waiting = engine.submit(request(ServiceClass.ROLLOUT, 1));
    var changed =
        engine.betweenSteps(
            () -> {
              backend.weightVersion(5);
              return null;
            });
    backend.open();
    changed.get(10, TimeUnit.SECONDS);
    pausing.get(10, TimeUnit.SECONDS);
    assertEquals(0, engine.abortStartedBefore(0).get(10, TimeUnit.SECONDS));
    assertEquals(2, engine.abortStartedBefore(1).get(10, TimeUnit.SECONDS), "0 is older");
    engine.resume();
    for (int open = 2; open > 0; ) {
      if (old.take() instanceof EngineEvent.Finished finished) {
        assertEquals(EngineEvent.FinishReason.ABORT, finished.reason());
        open--;
      }
    }
    readAll(waiting, 1);
    assertEquals(0, engine.abortStartedBefore(6).get(10, TimeUnit.SECONDS), "all have ended");
  }
}

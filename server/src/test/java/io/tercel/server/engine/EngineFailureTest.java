package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An error in the loop ends the engine, for all to see. */
@Timeout(60)
class EngineFailureTest {
  private final FakeBackend backend = new FakeBackend(64, 4, 97);
  private final Engine engine =
      new Engine(
          backend, EngineConfig.builder(200, 97).maxNumSeqs(4).maxNumBatchedTokens(64).build());

  private Generation submit() {
    return engine.submit(
        new GenerationRequest("e", new int[] {1, 2, 3}, SamplingParams.greedy(50)));
  }

  @Test
  void error_failsTheEngine() throws Exception {
    OutOfMemoryError error = new OutOfMemoryError("no more");
    backend.failOnce(error);
    Generation generation = submit();
    EngineEvent event = generation.take();
    while (event instanceof EngineEvent.Started) {
      event = generation.take();
    }
    EngineEvent.Failed failed = assertInstanceOf(EngineEvent.Failed.class, event);
    assertSame(error, engine.failure().get(10, TimeUnit.SECONDS));
    assertTrue(engine.failed());
    assertFalse(engine.ready());
    assertEquals("the engine has failed", failed.message());
    assertTrue(failed.closing());
    OverloadedException refused = assertThrows(OverloadedException.class, this::submit);
    assertTrue(refused.closing());
    assertTrue(refused.toString().contains("failed"));
    engine.close();
    assertTrue(backend.isClosed());
  }

  @Test
  void exceptionOfAStep_isNoFailureOfTheEngine_andNeitherIsClosing() throws Exception {
    backend.failOnce(new IllegalStateException("one request's"));
    Generation generation = submit();
    EngineEvent event = generation.take();
    while (!(event instanceof EngineEvent.Failed)) {
      event = generation.take();
    }
    assertFalse(engine.failed());
    engine.close();
    assertFalse(engine.failed());
    assertFalse(engine.failure().isDone());
  }
}

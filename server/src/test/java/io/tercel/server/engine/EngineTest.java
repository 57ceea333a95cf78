package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.testing.EngineRounds;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
@SuppressWarnings("ArrayRecordComponent")
class EngineTest {
  private static final int VOCAB = 97;
  private static final int EOS = 96;

  private FakeBackend backend = new FakeBackend(64, 4, VOCAB);
  private Engine engine = engine(backend, 200, 16, 64, 32);

  private static Engine engine(
      FakeBackend backend, int maxModelLen, int maxNumSeqs, int budget, int maxWaiting) {
    return new Engine(
        backend,
        EngineConfig.builder(maxModelLen, VOCAB)
            .maxNumSeqs(maxNumSeqs)
            .maxNumBatchedTokens(budget)
            .maxWaiting(maxWaiting)
            .eosTokenIds(Set.of(EOS))
            .build());
  }

  private void restart(FakeBackend newBackend, Engine newEngine) {
    engine.close();
    backend = newBackend;
    engine = newEngine;
  }

  @AfterEach
  void close() {
    backend.open(); // whatever a failed test left shut
    engine.close();
    assertTrue(backend.isClosed());
  }

  private static int[] prompt(int length, long seed) {
    return new Random(seed).ints(length, 0, EOS).toArray();
  }

  /** What the fake model says, computed without an engine. */
  private static int[] expected(int[] prompt, int maxTokens) {
    int[] context = Arrays.copyOf(prompt, prompt.length + maxTokens);
    int length = prompt.length;
    while (length < context.length) {
      context[length] = FakeBackend.next(context, length, VOCAB);
      length++;
      if (context[length - 1] == EOS) {
        break;
      }
    }
    return Arrays.copyOfRange(context, prompt.length, length);
  }

  private record Outcome(int[] tokens, FinishReason reason, int stopTokenId) {}

  private static Outcome read(Generation generation) throws InterruptedException {
    List<Integer> tokens = new ArrayList<>();
    while (true) {
      switch (generation.take()) {
        case EngineEvent.Token t -> tokens.add(t.result().tokenId());
        case EngineEvent.Finished f -> {
          return new Outcome(
              tokens.stream().mapToInt(i -> i).toArray(), f.reason(), f.stopTokenId());
        }
        case EngineEvent.Started _, EngineEvent.PromptScored _ -> {}
        case EngineEvent.Failed f -> throw new AssertionError(f.message());
      }
    }
  }

  private static void takeToken(Generation generation) throws InterruptedException {
    assertInstanceOf(EngineEvent.Started.class, generation.take());
    assertInstanceOf(EngineEvent.Token.class, generation.take());
  }

  private Generation submit(int[] prompt, int maxTokens) {
    return engine.submit(new GenerationRequest("t", prompt, SamplingParams.greedy(maxTokens)));
  }

  private void awaitIdle() throws InterruptedException {
    while (engine.stats().running() + engine.stats().waiting() > 0) {
      Thread.sleep(1);
    }
    assertEquals(engine.stats().blocks().total(), engine.stats().blocks().free());
  }

  @Test
  void generates_asTheModelSays() throws Exception {
    int[] prompt = prompt(10, 1);
    assertArrayEquals(expected(prompt, 30), read(submit(prompt, 30)).tokens());
    awaitIdle();
  }

  @Test
  void batch_oneStepHoldsAllSixteen() throws Exception {
    Semaphore gate = backend.gate();
    List<Generation> generations = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      generations.add(submit(prompt(3, i), 20));
    }
    while (engine.stats().waiting() + engine.stats().running() < 16) {
      Thread.sleep(1);
    }
    gate.release(1);
    backend.open();
    for (int i = 0; i < 16; i++) {
      assertArrayEquals(expected(prompt(3, i), 20), read(generations.get(i)).tokens());
    }
    assertTrue(backend.sequencesPerStep().contains(16), backend.sequencesPerStep().toString());
  }

  @Test
  void sequences_joinAndLeaveBetweenSteps() throws Exception {
    Generation first = submit(prompt(5, 1), 60);
    takeToken(first);
    Generation second = submit(prompt(5, 2), 3);
    assertArrayEquals(expected(prompt(5, 2), 3), read(second).tokens());
    assertEquals(expected(prompt(5, 1), 60).length - 1, read(first).tokens().length);
  }

  @Test
  void prefill_isCutIntoChunksOfTheBudget() throws Exception {
    int[] prompt = prompt(150, 3);
    assertArrayEquals(expected(prompt, 5), read(submit(prompt, 5)).tokens());
    assertEquals(List.of(64, 64, 22), backend.tokensPerStep().subList(0, 3));
  }

  @Test
  void prefill_leavesRoomForRunningDecodes() throws Exception {
    Generation decoding = submit(prompt(2, 4), 100);
    takeToken(decoding);
    Generation prefill = submit(prompt(150, 5), 2);
    assertArrayEquals(expected(prompt(150, 5), 2), read(prefill).tokens());
    assertTrue(backend.tokensPerStep().stream().allMatch(n -> n <= 64));
    assertEquals(expected(prompt(2, 4), 100).length - 1, read(decoding).tokens().length);
  }

  @Test
  void blocksRunOut_preemptsTheYoungestAndRecomputes() throws Exception {
    restart(new FakeBackend(12, 4, VOCAB), engine);
    engine = engine(backend, 48, 8, 64, 100);
    Semaphore gate = backend.gate();
    List<Generation> generations = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      generations.add(submit(prompt(6, 10 + i), 30));
    }
    gate.release(1);
    backend.open();
    for (int i = 0; i < 6; i++) {
      assertArrayEquals(expected(prompt(6, 10 + i), 30), read(generations.get(i)).tokens());
    }
    assertTrue(engine.stats().work().preemptions() > 0);
    awaitIdle();
  }

  @Test
  void eos_endsWithStop() throws Exception {
    for (int seed = 0; ; seed++) {
      int[] expected = expected(prompt(4, seed), 60);
      if (expected.length < 60 && expected.length > 3) {
        Outcome outcome = read(submit(prompt(4, seed), 60));
        assertArrayEquals(expected, outcome.tokens());
        assertEquals(FinishReason.STOP, outcome.reason());
        assertEquals(EOS, outcome.stopTokenId());
        return;
      }
    }
  }

  @Test
  void ignoreEosAndMinTokens_goOnPastTheEnd() throws Exception {
    int seed = 0;
    while (expected(prompt(4, seed), 40).length >= 20) {
      seed++;
    }
    int[] prompt = prompt(4, seed);
    assertEquals(
        40,
        read(engine.submit(new GenerationRequest("i", prompt, params(40, 0, true))))
            .tokens()
            .length);
    int[] tokens =
        read(engine.submit(new GenerationRequest("m", prompt, params(40, 25, false)))).tokens();
    assertTrue(tokens.length >= 25);
    assertTrue(Arrays.stream(tokens).limit(25).noneMatch(t -> t == EOS));
  }

  private static SamplingParams params(int maxTokens, int minTokens, boolean ignoreEos) {
    return SamplingParams.builder()
        .maxTokens(maxTokens)
        .minTokens(minTokens)
        .ignoreEos(ignoreEos)
        .build();
  }

  private static SamplingParams choices(int n, int maxTokens) {
    return SamplingParams.builder()
        .n(n)
        .maxTokens(maxTokens)
        .temperature(1)
        .ignoreEos(true)
        .build();
  }

  @Test
  void promptScores_comeOnceAndFirst() throws Exception {
    int[] prompt = prompt(100, 8);
    SamplingParams p = SamplingParams.builder().maxTokens(2).promptLogprobs(0).build();
    Generation generation = engine.submit(new GenerationRequest("p", prompt, p));
    assertInstanceOf(EngineEvent.Started.class, generation.take());
    EngineEvent.PromptScored scored =
        assertInstanceOf(EngineEvent.PromptScored.class, generation.take());
    assertEquals(99, scored.tokens().size());
    for (int i = 0; i < 99; i++) {
      assertEquals(prompt[i + 1], scored.tokens().get(i).tokenId());
    }
    assertEquals(2, read(generation).tokens().length);
  }

  @Test
  void choices_endOneByOneAndCancelOneByOne() throws Exception {
    Semaphore gate = backend.gate();
    Generation generation = engine.submit(new GenerationRequest("n", prompt(5, 1), choices(3, 50)));
    gate.release(2);
    int[] counts = new int[3];
    generation.cancel(1);
    backend.open();
    FinishReason[] reasons = new FinishReason[3];
    for (int ended = 0; ended < 3; ) {
      switch (generation.take()) {
        case EngineEvent.Token t -> counts[t.choice()]++;
        case EngineEvent.Finished f -> {
          reasons[f.choice()] = f.reason();
          ended++;
        }
        case EngineEvent.Started _ -> {}
        default -> throw new AssertionError();
      }
    }
    assertEquals(FinishReason.ABORT, reasons[1]);
    assertEquals(FinishReason.LENGTH, reasons[0]);
    assertEquals(FinishReason.LENGTH, reasons[2]);
    assertEquals(50, counts[0]);
    assertTrue(counts[1] < 50);
    awaitIdle();
  }

  @Test
  void cancel_freesTheBlocksAndLeavesOthersAlone() throws Exception {
    Semaphore gate = backend.gate();
    Generation stays = submit(prompt(9, 1), 40);
    Generation queued = submit(prompt(9, 2), 40);
    gate.release(1);
    queued.cancel();
    backend.open();
    assertEquals(FinishReason.ABORT, read(queued).reason());
    assertArrayEquals(expected(prompt(9, 1), 40), read(stays).tokens());
    awaitIdle();
    assertEquals(1, engine.stats().finished(FinishReason.ABORT));
  }

  @Test
  void clientThatDoesNotRead_pausesItselfAlone() throws Exception {
    restart(new FakeBackend(400, 4, VOCAB), engine);
    engine = engine(backend, 1600, 8, 64, 100);
    Generation stalled =
        engine.submit(new GenerationRequest("s", prompt(4, 1), params(1000, 0, true)));
    Generation reader =
        engine.submit(new GenerationRequest("r", prompt(4, 2), params(1000, 0, true)));
    assertEquals(1000, read(reader).tokens().length);
    while (engine.stats().work().generationTokens() < 1000 + QueuedGeneration.CAPACITY) {
      Thread.sleep(1);
    }
    EngineRounds.of(engine);
    assertEquals(1000 + QueuedGeneration.CAPACITY, engine.stats().work().generationTokens());
    assertEquals(1000, read(stalled).tokens().length);
    awaitIdle();
  }

  @Test
  void stalledClient_isPreemptedWhenOthersNeedItsBlocks() throws Exception {
    restart(new FakeBackend(160, 4, VOCAB), engine);
    engine = engine(backend, 600, 8, 64, 100);
    Generation stalled =
        engine.submit(new GenerationRequest("s", prompt(4, 1), params(500, 0, true)));
    while (engine.stats().work().generationTokens() < QueuedGeneration.CAPACITY) {
      Thread.sleep(1);
    }
    Generation reader =
        engine.submit(new GenerationRequest("r", prompt(4, 2), params(590, 0, true)));
    assertEquals(590, read(reader).tokens().length);
    assertTrue(engine.stats().work().preemptions() > 0);
    assertEquals(500, read(stalled).tokens().length);
    awaitIdle();
  }

  @Test
  void stepThatFails_failsItsRequestsAndServesTheNext() throws Exception {
    backend.failOnce(new IllegalStateException("boom"));
    Generation failed = submit(prompt(4, 1), 5);
    assertInstanceOf(EngineEvent.Started.class, failed.take());
    assertTrue(
        assertInstanceOf(EngineEvent.Failed.class, failed.take()).message().contains("boom"));
    assertEquals(5, read(submit(prompt(4, 1), 5)).tokens().length);
    assertTrue(engine.ready());
    awaitIdle();
  }

  @Test
  void sequenceThatFails_failsAloneInItsBatch() throws Exception {
    backend.gate();
    FakeBackend.Model honest = (context, length) -> FakeBackend.next(context, length, VOCAB);
    backend.model(
        (context, length) -> {
          if (context[0] == 7 && length >= 8) {
            throw new IllegalStateException("poison");
          }
          return honest.next(context, length);
        });
    List<Generation> good = new ArrayList<>();
    good.add(submit(prompt(4, 1), 20));
    Generation poisoned = submit(new int[] {7, 7, 7, 7}, 20);
    good.add(submit(prompt(4, 2), 20));
    backend.open();
    for (int i = 0; i < good.size(); i++) {
      assertArrayEquals(expected(prompt(4, 1 + i), 20), read(good.get(i)).tokens());
    }
    List<EngineEvent> events = new ArrayList<>();
    do {
      events.add(poisoned.take());
    } while (!(events.getLast() instanceof EngineEvent.Failed));
    assertTrue(events.getLast().toString().contains("poison"));
    assertEquals(4, events.stream().filter(EngineEvent.Token.class::isInstance).count());
    assertTrue(backend.sequencesPerStep().contains(3), "they were in one batch");
    backend.model(honest);
    assertArrayEquals(expected(prompt(4, 1), 20), read(submit(prompt(4, 1), 20)).tokens());
    awaitIdle();
  }

  @Test
  void invalid_isRefusedWithTheFieldsName() {
    assertParam("prompt", new int[0], SamplingParams.greedy(1));
    assertParam("prompt", new int[] {VOCAB}, SamplingParams.greedy(1));
    assertParam("prompt", prompt(200, 1), SamplingParams.greedy(1));
    assertParam("max_tokens", prompt(150, 1), SamplingParams.greedy(51));
    assertParam("max_tokens", prompt(1, 1), SamplingParams.greedy(0));
    assertParam("n", prompt(1, 1), choices(0, 1));
    assertParam("min_tokens", prompt(1, 1), params(5, 6, false));
    assertParam("top_p", prompt(1, 1), SamplingParams.builder().topP(0).build());
    assertParam(
        "temperature", prompt(1, 1), SamplingParams.builder().temperature(Float.NaN).build());
  }

  private void assertParam(String param, int[] prompt, SamplingParams params) {
    InvalidRequestException e =
        assertThrows(
            InvalidRequestException.class,
            () -> engine.submit(new GenerationRequest("x", prompt, params)));
    assertEquals(param, e.param(), e.getMessage());
  }

  @Test
  void longestPromptThatFits_runs() throws Exception {
    assertEquals(1, read(submit(prompt(199, 1), 1)).tokens().length);
  }

  @Test
  void tooManyWaiting_isRefused() throws Exception {
    Semaphore gate = backend.gate();
    List<Generation> taken = new ArrayList<>();
    OverloadedException refused =
        assertThrows(
            OverloadedException.class,
            () -> {
              for (int i = 0; i < 100; i++) {
                taken.add(submit(prompt(3, i), 2));
              }
            });
    assertFalse(refused.closing());
    assertTrue(taken.size() >= 32);
    gate.release(1);
    backend.open();
    for (Generation g : taken) {
      read(g);
    }
  }

  @Test
  void drain_refusesNewAndFinishesOld() throws Exception {
    Generation old = submit(prompt(3, 1), 50);
    engine.drain();
    assertFalse(engine.ready());
    assertTrue(assertThrows(OverloadedException.class, () -> submit(prompt(3, 2), 1)).closing());
    assertEquals(expected(prompt(3, 1), 50).length, read(old).tokens().length);
  }

  @Test
  void close_endsOpenGenerations() {
    Semaphore gate = backend.gate();
    Generation open = submit(prompt(3, 1), 50);
    gate.release(1);
    Thread closer = Thread.ofVirtual().start(engine::close);
    while (engine.ready()) {
      Thread.onSpinWait();
    }
    backend.open();
    assertTimeout(
        Duration.ofSeconds(10),
        () -> {
          while (!(open.take() instanceof EngineEvent.Failed)) {
            // tokens that came before the end
          }
          closer.join();
        });
  }
}

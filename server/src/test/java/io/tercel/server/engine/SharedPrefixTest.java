package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.EngineEvent.FinishReason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What sequences share, what new weights do to it, and who loses it by not reading. */
@Timeout(60)
class SharedPrefixTest {
  private static final int VOCAB = 97;
  private static final Duration STALL = Duration.ofMillis(200);

  private final FakeBackend backend = new FakeBackend(400, 4, VOCAB);
  private Engine engine = engine(8, true);

  private Engine engine(int maxNumSeqs, boolean caching) {
    return new Engine(
        backend,
        EngineConfig.builder(1600, VOCAB)
            .maxNumSeqs(maxNumSeqs)
            .maxNumBatchedTokens(64)
            .maxWaiting(100)
            .prefixCaching(caching)
            .stallTimeout(STALL)
            .build());
  }

  @AfterEach
  void close() {
    backend.open();
    engine.close();
  }

  private static SamplingParams params(int n, int maxTokens, int promptLogprobs) {
    return SamplingParams.builder()
        .n(n)
        .maxTokens(maxTokens)
        .ignoreEos(true)
        .promptLogprobs(promptLogprobs)
        .build();
  }

  private static int[] prompt(int length, long seed) {
    return new Random(seed).ints(length, 0, VOCAB).toArray();
  }

  private Generation submit(int[] prompt, SamplingParams params) {
    return engine.submit(new GenerationRequest("s", prompt, params));
  }

  /** What the engine says of itself when it has told all there is. */
  private EngineStats idle() throws InterruptedException {
    while (engine.stats().running() + engine.stats().waiting() > 0) {
      Thread.sleep(1);
    }
    return engine.stats();
  }

  /** All events to the end. */
  private static List<EngineEvent> read(Generation generation, int n) throws InterruptedException {
    List<EngineEvent> events = new ArrayList<>();
    for (int open = n; open > 0; ) {
      EngineEvent event = generation.take();
      events.add(event);
      if (event instanceof EngineEvent.Finished) {
        open--;
      } else if (event instanceof EngineEvent.Failed failed) {
        throw new AssertionError(failed.message());
      }
    }
    return events;
  }

  private static int[] tokens(List<EngineEvent> events, int choice) {
    return events.stream()
        .filter(e -> e instanceof EngineEvent.Token t && t.choice() == choice)
        .mapToInt(e -> ((EngineEvent.Token) e).result().tokenId())
        .toArray();
  }

  private static int cached(List<EngineEvent> events, int choice) {
    return events.stream()
        .filter(e -> e instanceof EngineEvent.Started s && s.choice() == choice)
        .mapToInt(e -> ((EngineEvent.Started) e).cachedTokens())
        .sum();
  }

  private static int[] expected(int[] prompt, int maxTokens, long version) {
    int[] context = Arrays.copyOf(prompt, prompt.length + maxTokens);
    for (int length = prompt.length; length < context.length; length++) {
      context[length] = FakeBackend.next(context, length, VOCAB, version);
    }
    return Arrays.copyOfRange(context, prompt.length, context.length);
  }

  @Test
  void secondTime_onlyTheTailIsComputed() throws Exception {
    int[] prompt = prompt(40, 1);
    assertEquals(0, cached(read(submit(prompt, params(1, 9, -1)), 1), 0));
    List<EngineEvent> again = read(submit(prompt, params(1, 9, -1)), 1);
    assertEquals(36, cached(again, 0), "39 at most: the last one is computed for its logits");
    assertArrayEquals(expected(prompt, 9, 0), tokens(again, 0));
    assertEquals(44, idle().work().computedPromptTokens());
    assertEquals(80, idle().prefix().queries());
    assertEquals(36, idle().prefix().hits());
  }

  @Test
  void nextTurn_findsTheAnswerToo() throws Exception {
    int[] prompt = prompt(20, 1);
    int[] answer = tokens(read(submit(prompt, params(1, 30, -1)), 1), 0);
    int[] next = Arrays.copyOf(prompt, 60);
    System.arraycopy(answer, 0, next, 20, 30);
    List<EngineEvent> events = read(submit(next, params(1, 5, -1)), 1);
    assertEquals(48, cached(events, 0), "49 were computed");
    assertArrayEquals(expected(next, 5, 0), tokens(events, 0));
  }

  @Test
  void promptScores_computeThePromptAgain() throws Exception {
    int[] prompt = prompt(40, 1);
    read(submit(prompt, params(1, 2, -1)), 1);
    List<EngineEvent> scored = read(submit(prompt, params(2, 2, 0)), 2);
    assertEquals(0, cached(scored, 0));
    assertEquals(36, cached(scored, 1));
    assertEquals(
        39, assertInstanceOf(EngineEvent.PromptScored.class, scored.get(1)).tokens().size());
  }

  @Test
  void choices_computeTheirPromptOnce() throws Exception {
    int[] prompt = prompt(42, 2);
    List<EngineEvent> events = read(submit(prompt, params(4, 20, -1)), 4);
    for (int choice = 0; choice < 4; choice++) {
      assertArrayEquals(expected(prompt, 20, 0), tokens(events, choice));
      assertEquals(choice == 0 ? 0 : 40, cached(events, choice));
    }
    assertEquals(42 + 3 * 2, idle().work().computedPromptTokens());
  }

  @Test
  void withoutTheCache_nothingIsSharedOrAwaited() throws Exception {
    engine.close();
    FakeBackend other = new FakeBackend(400, 4, VOCAB);
    engine =
        new Engine(
            other,
            EngineConfig.builder(1600, VOCAB)
                .maxNumSeqs(8)
                .maxNumBatchedTokens(64)
                .maxWaiting(100)
                .prefixCaching(false)
                .stallTimeout(STALL)
                .build());
    int[] prompt = prompt(42, 2);
    List<EngineEvent> events = read(submit(prompt, params(3, 5, -1)), 3);
    assertArrayEquals(expected(prompt, 5, 0), tokens(events, 2));
    assertEquals(3 * 42, idle().work().computedPromptTokens());
    assertEquals(0, idle().prefix().queries());
  }

  @Test
  void betweenSteps_runsOnTheLoopAndNotInAStep() throws Exception {
    Generation generation = submit(prompt(10, 1), params(1, 500, -1));
    for (int i = 0; i < 50; i++) {
      assertEquals(
          "tercel-engine false",
          engine
              .betweenSteps(() -> Thread.currentThread().getName() + " " + backend.inStep())
              .get());
    }
    ExecutionException failed =
        assertThrows(
            ExecutionException.class,
            () ->
                engine
                    .betweenSteps(
                        () -> {
                          throw new java.io.IOException("no weights");
                        })
                    .get());
    assertInstanceOf(java.io.IOException.class, failed.getCause());
    assertArrayEquals(expected(prompt(10, 1), 500, 0), tokens(read(generation, 1), 0));
    engine.close();
    CompletableFuture<Integer> late = engine.betweenSteps(() -> 1);
    assertInstanceOf(
        IllegalStateException.class, assertThrows(ExecutionException.class, late::get).getCause());
  }

  /** New weights for whatever stands at the backend's gate, which opens then. */
  private void change(long version) throws Exception {
    CompletableFuture<Long> changed =
        engine.betweenSteps(
            () -> {
              backend.weightVersion(version);
              return version;
            });
    backend.open();
    assertEquals(version, changed.get());
  }

  @Test
  void newWeights_dropped_everyTokenIsOfOneVersion() throws Exception {
    int[] prompt = prompt(21, 1);
    Semaphore gate = backend.gate();
    Generation generation = submit(prompt, params(1, 60, -1));
    gate.release(21);
    while (engine.stats().work().generationTokens() < 20) {
      Thread.sleep(1);
    }
    change(3);
    List<EngineEvent> events = read(generation, 1);
    int[] context = Arrays.copyOf(prompt, 81);
    int length = 21;
    Set<Long> versions = new java.util.TreeSet<>();
    for (EngineEvent event : events) {
      if (event instanceof EngineEvent.Token t) {
        versions.add(t.weightVersion());
        assertEquals(
            FakeBackend.next(context, length, VOCAB, t.weightVersion()), t.result().tokenId());
        context[length++] = t.result().tokenId();
      }
    }
    assertEquals(Set.of(0L, 3L), versions);
    assertEquals(0, idle().work().preemptions(), "this is none");
    List<EngineEvent> again = read(submit(prompt, params(1, 5, -1)), 1);
    assertEquals(20, cached(again, 0), "recomputed with the new weights, so shared again");
    assertArrayEquals(expected(prompt, 5, 3), tokens(again, 0));
  }

  @Test
  void newWeights_kept_goesOnAndIsNeverShared() throws Exception {
    int[] prompt = prompt(21, 1);
    Semaphore gate = backend.gate();
    Generation generation =
        engine.submit(
            new GenerationRequest("k", prompt, params(1, 60, -1)).withStaleKv(StaleKv.KEEP));
    gate.release(21);
    while (engine.stats().work().generationTokens() < 20) {
      Thread.sleep(1);
    }
    change(3);
    List<EngineEvent.Token> tokens =
        read(generation, 1).stream()
            .filter(EngineEvent.Token.class::isInstance)
            .map(EngineEvent.Token.class::cast)
            .toList();
    int[] keys = Arrays.copyOf(prompt, 81);
    for (int i = 0; i < 60; i++) {
      if (i > 0) { // a token's key is made by the step that draws the next
        keys[20 + i] =
            FakeBackend.key(tokens.get(i - 1).result().tokenId(), tokens.get(i).weightVersion());
      }
      assertEquals(
          FakeBackend.say(keys, 21 + i, VOCAB, tokens.get(i).weightVersion(), 0),
          tokens.get(i).result().tokenId());
    }
    assertEquals(21, idle().work().computedPromptTokens(), "nothing was computed again");
    List<EngineEvent> again = read(submit(prompt, params(1, 5, -1)), 1);
    assertEquals(0, cached(again, 0));
    assertArrayEquals(expected(prompt, 5, 3), tokens(again, 0));
  }

  @Test
  void stop_isNoAbort() throws Exception {
    Generation generation = submit(prompt(5, 1), params(1, 1500, -1));
    generation.take();
    generation.take();
    generation.stop(0);
    List<EngineEvent> events = read(generation, 1);
    assertEquals(FinishReason.STOP, ((EngineEvent.Finished) events.getLast()).reason());
    assertEquals(1, idle().finished(FinishReason.STOP));
    assertEquals(0, idle().finished(FinishReason.ABORT));
  }

  @Test
  void clientThatNeverReads_isEndedAndSaysWhy() throws Exception {
    Generation stalled = submit(prompt(5, 1), params(1, 1500, -1));
    long start = System.nanoTime();
    while (engine.stats().finished(FinishReason.ABORT) == 0) {
      Thread.sleep(5);
    }
    assertTrue(System.nanoTime() - start >= STALL.toNanos());
    EngineEvent last = stalled.take();
    int count = 0;
    for (; !(last instanceof EngineEvent.Failed); last = stalled.take()) {
      count += last instanceof EngineEvent.Token ? 1 : 0;
    }
    assertEquals(QueuedGeneration.CAPACITY, count);
    EngineEvent.Failed failed = (EngineEvent.Failed) last;
    assertEquals(false, failed.closing());
    assertTrue(failed.message().contains("read nothing for 0.2 s"), failed.message());
    assertEquals(400, idle().blocks().free());
    assertEquals(5, tokens(read(submit(prompt(5, 2), params(1, 5, -1)), 1), 0).length);
  }

  @Test
  void slowClient_isNotEnded() throws Exception {
    Generation slow = submit(prompt(5, 1), params(1, 300, -1));
    for (int i = 0; i < 10; i++) {
      Thread.sleep(STALL.toMillis() / 3);
      slow.take();
    }
    List<EngineEvent> rest = read(slow, 1);
    assertEquals(FinishReason.LENGTH, ((EngineEvent.Finished) rest.getLast()).reason());
  }

  @Test
  void stalledClient_losesItsPlaceToOneWhoWaits() throws Exception {
    engine.close();
    FakeBackend other = new FakeBackend(400, 4, VOCAB);
    engine =
        new Engine(
            other,
            EngineConfig.builder(1600, VOCAB)
                .maxNumSeqs(1)
                .maxNumBatchedTokens(64)
                .maxWaiting(100)
                .build());
    Generation stalled = submit(prompt(5, 1), params(1, 500, -1));
    while (engine.stats().work().generationTokens() < QueuedGeneration.CAPACITY) {
      Thread.sleep(1);
    }
    Generation next = submit(prompt(5, 2), params(1, 100, -1));
    assertArrayEquals(expected(prompt(5, 2), 100, 0), tokens(read(next, 1), 0));
    assertArrayEquals(expected(prompt(5, 1), 500, 0), tokens(read(stalled, 1), 0));
    assertEquals(1, idle().work().preemptions());
    assertTrue(idle().prefix().recovered() > 200);
  }

  @Test
  void maxModelLen_isNoMoreThanThePool() {
    engine.close();
    engine =
        new Engine(
            new FakeBackend(10, 4, VOCAB),
            EngineConfig.builder(1600, VOCAB)
                .maxNumSeqs(8)
                .maxNumBatchedTokens(64)
                .maxWaiting(100)
                .build());
    assertEquals(40, engine.maxModelLen());
    assertThrows(InvalidRequestException.class, () -> submit(prompt(40, 1), params(1, 1, -1)));
  }
}

package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Seeded random clients of a whole engine, whose model reads each context back through the block
 * tables: every token must be what the weights of that step say of the client's own tokens and
 * keys, whatever was shared, preempted, stalled, paused or recomputed; see {@link PropertyClient}.
 * (Threads decide what meets what, so a seed fixes the requests but not their interleaving; {@link
 * SchedulerPropertyTest} repeats exactly.)
 */
@Timeout(120)
class EnginePropertyTest {
  static final int VOCAB = 251;
  private static final int CLIENTS = 120;
  private static final int CHANGES = 12;

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14})
  void engine_saysWhatTheModelSays(long seed) throws Exception {
    Random random = new Random(seed);
    FakeBackend backend = new FakeBackend(150 + random.nextInt(60), 4, VOCAB);
    int maxLen = 480;
    EngineConfig config =
        EngineConfig.builder(maxLen, VOCAB)
            .maxNumSeqs(4 + random.nextInt(8))
            .maxNumBatchedTokens(16 + random.nextInt(50))
            .maxWaiting(10_000)
            .build();
    int[][] prefixes = new int[3][];
    for (int i = 0; i < prefixes.length; i++) {
      prefixes[i] = random.ints(60, 0, VOCAB).toArray();
    }
    List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
    PropertyClient.Seen seen = new PropertyClient.Seen();
    CountDownLatch sleepersWake = new CountDownLatch(1);
    EngineStats stats;
    try (Engine engine = new Engine(backend, config)) {
      List<Thread> threads = new ArrayList<>();
      for (int c = 0; c < CLIENTS; c++) {
        PropertyClient client =
            new PropertyClient(engine, random, prefixes, maxLen, seen, sleepersWake);
        threads.add(Thread.ofVirtual().start(() -> run(client, failures)));
      }
      for (int change = 1; change <= CHANGES; change++) {
        long version = change;
        awaitTokens(engine, change * 600L);
        boolean stands = change % 3 == 0;
        if (stands) {
          engine.pause().get(10, TimeUnit.SECONDS);
        }
        int steps = backend.sequencesPerStep().size();
        engine
            .betweenSteps(
                () -> {
                  seen.runningAtChange += engine.stats().running();
                  backend.weightVersion(version);
                  return null;
                })
            .get(10, TimeUnit.SECONDS);
        if (stands) {
          assertEquals(steps, backend.sequencesPerStep().size(), "a step while paused");
          engine.resume();
        }
        if (change == CHANGES / 2) {
          await(() -> engine.stats().stalled() > 0, "a client that doesn't read");
          sleepersWake.countDown();
        }
      }
      for (Thread thread : threads) {
        thread.join();
      }
      assertEquals(List.of(), failures);
      await(() -> engine.stats().running() + engine.stats().waiting() == 0, "an idle engine");
      stats = engine.stats();
      assertTrue(engine.ready());
    }
    System.out.println("seed " + seed + ": " + stats + " " + seen);
    assertEquals(backend.numBlocks(), stats.blocks().free());
    assertTrue(stats.work().preemptions() > 0, "preemptions");
    assertTrue(stats.prefix().hits() > 0, "prefix hits");
    assertTrue(stats.prefix().recovered() > 0, "hits after a preemption");
    assertTrue(seen.runningAtChange > 0, "sequences at new weights");
    assertTrue(seen.dropped.get() > 0, "caches that were dropped and made again");
    assertTrue(seen.kept.get() > 0, "caches that were kept whole");
    assertTrue(
        seen.choicesKept.get() + seen.choicesDropped.get() > 0, "choices of n > 1 at new weights");
    assertTrue(seen.drawn.get() > 0, "choices that differ by their draws");
    assertEquals(stats.brokenKv().times(), seen.broken.get(), "kept caches that were broken");
    for (ServiceClass c : ServiceClass.values()) {
      assertTrue(stats.of(c).generationTokens() > 0, "tokens of class " + c.label());
    }
  }

  /** Waits until so many tokens were said, or nobody says any more because none reads. */
  private static void awaitTokens(Engine engine, long tokens) {
    long last = -1;
    while (engine.stats().work().generationTokens() < tokens) {
      long now = engine.stats().work().steps();
      if (now == last && engine.stats().running() == engine.stats().stalled()) {
        return;
      }
      last = now;
      LockSupport.parkNanos(1_000_000);
    }
  }

  private static void await(java.util.function.BooleanSupplier condition, String what) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, "no " + what);
      LockSupport.parkNanos(1_000_000);
    }
  }

  private static void run(PropertyClient client, List<Throwable> failures) {
    try {
      client.run();
    } catch (Throwable t) {
      failures.add(t);
    }
  }
}

package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Seeded random clients of a whole engine, whose model reads each context back through the block
 * tables: every token must be what the weights of that step say of the client's own tokens,
 * whatever was shared, preempted, paused or recomputed. (Threads decide what meets what, so a seed
 * fixes the requests but not their interleaving; {@link SchedulerPropertyTest} repeats exactly.)
 */
@Timeout(120)
class EnginePropertyTest {
  private static final int VOCAB = 251;
  private static final int CLIENTS = 160;

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14})
  void engine_saysWhatTheModelSays(long seed) throws Exception {
    Random random = new Random(seed);
    FakeBackend backend = new FakeBackend(20 + random.nextInt(20), 4, VOCAB);
    int maxLen = backend.numBlocks() * 4;
    EngineConfig config =
        EngineConfig.builder(maxLen, VOCAB)
            .maxNumSeqs(2 + random.nextInt(10))
            .maxNumBatchedTokens(16 + random.nextInt(50))
            .maxWaiting(10_000)
            .build();
    int[][] prefixes = new int[3][];
    for (int i = 0; i < prefixes.length; i++) {
      prefixes[i] = random.ints(maxLen / 2, 0, VOCAB).toArray();
    }
    AtomicLong versions = new AtomicLong();
    List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
    EngineStats stats;
    try (Engine engine = new Engine(backend, config)) {
      List<Thread> threads = new ArrayList<>();
      for (int c = 0; c < CLIENTS; c++) {
        Client client = new Client(engine, random, prefixes, maxLen);
        threads.add(Thread.ofVirtual().start(() -> run(client, failures)));
        if (c % 20 == 19) {
          // some meet, some come later
          engine
              .betweenSteps(
                  StaleKv.DROP,
                  () -> {
                    backend.weightVersion(versions.incrementAndGet());
                    return null;
                  })
              .get();
        }
      }
      for (Thread thread : threads) {
        thread.join();
      }
      assertEquals(List.of(), failures);
      while (engine.stats().running() + engine.stats().waiting() > 0) {
        Thread.sleep(1);
      }
      stats = engine.stats();
      assertTrue(engine.ready());
    }
    System.out.println("seed " + seed + ": " + stats);
    assertEquals(backend.numBlocks(), stats.blocks().free());
    assertTrue(stats.work().preemptions() > 0, "preemptions");
    assertTrue(stats.prefix().hits() > 0, "prefix hits");
    assertTrue(stats.prefix().recovered() > 0, "hits after a preemption");
  }

  private static void run(Client client, List<Throwable> failures) {
    try {
      client.run();
    } catch (Throwable t) {
      failures.add(t);
    }
  }

  /** One request, and what is expected of it. */
  private static final class Client {
    private final Engine engine;
    private final int[] prompt;
    private final int n;
    private final int tokens;
    private final int leaveAfter;
    private final int priority;
    private final boolean dawdles;
    private final int[][] contexts;
    private final int[] counts;

    Client(Engine engine, Random random, int[][] prefixes, int maxLen) {
      this.engine = engine;
      int[] prefix = prefixes[random.nextInt(prefixes.length)];
      prompt = Arrays.copyOf(prefix, 1 + random.nextInt(prefix.length));
      if (random.nextInt(3) == 0) {
        prompt[random.nextInt(prompt.length)] = random.nextInt(VOCAB);
      }
      n = random.nextInt(5) == 0 ? 1 + random.nextInt(3) : 1;
      tokens = 1 + random.nextInt(maxLen - prompt.length);
      leaveAfter = random.nextInt(4) == 0 ? random.nextInt(tokens) : -1;
      priority = random.nextInt(3);
      dawdles = random.nextInt(6) == 0;
      contexts = new int[n][];
      counts = new int[n];
      Arrays.setAll(contexts, i -> Arrays.copyOf(prompt, prompt.length + tokens));
    }

    void run() throws InterruptedException {
      SamplingParams params =
          SamplingParams.builder().n(n).maxTokens(tokens).ignoreEos(true).build();
      Generation generation = engine.submit(new GenerationRequest("x", prompt, params, priority));
      for (int open = n; open > 0; ) {
        switch (generation.take()) {
          case EngineEvent.Started started ->
              assertTrue(started.cachedTokens() < prompt.length, "the last one is computed");
          case EngineEvent.Token token -> {
            check(token);
            if (counts[0] == leaveAfter && n == 1) {
              generation.cancel();
            } else if (dawdles && counts[0] % 8 == 0) {
              Thread.sleep(1);
            }
          }
          case EngineEvent.Finished _ -> open--;
          case EngineEvent other -> throw new AssertionError(other.toString());
        }
      }
      for (int count : counts) {
        assertTrue((leaveAfter >= 0 && n == 1) || count == tokens);
      }
    }

    private void check(EngineEvent.Token token) {
      int[] context = contexts[token.choice()];
      int length = prompt.length + counts[token.choice()]++;
      int expected = FakeBackend.next(context, length, VOCAB, token.weightVersion());
      assertEquals(expected, token.result().tokenId(), "token " + length);
      context[length] = expected;
    }
  }
}

package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.Scheduler.Chunk;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Seeded random lives of many sequences against the scheduler alone, step by step, with every
 * invariant checked after each, and against the whole engine with the text checked at the end.
 */
class EnginePropertyTest {
  private static final int VOCAB = 251;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void scheduler_keepsItsInvariants(long seed) {
    Random random = new Random(seed);
    BlockManager blocks = new BlockManager(10 + random.nextInt(30), 1 + random.nextInt(8));
    int budget = 8 + random.nextInt(40);
    int maxSeqs = 1 + random.nextInt(8);
    Scheduler scheduler = new Scheduler(blocks, maxSeqs, budget);
    int capacity = blocks.numBlocks() * blocks.blockSize();
    long arrival = 0;
    for (int event = 0; event < 3000; event++) {
      if (random.nextInt(4) == 0) {
        int promptLength = 1 + random.nextInt(Math.max(1, capacity / 3));
        scheduler.add(sequence(new int[promptLength], arrival++));
      }
      if (random.nextInt(20) == 0 && !scheduler.all().isEmpty()) {
        scheduler.remove(scheduler.all().get(random.nextInt(scheduler.all().size())));
        scheduler.checkInvariants();
      }
      List<Chunk> step = scheduler.schedule();
      scheduler.checkInvariants();
      checkStep(step, blocks, budget, maxSeqs);
      assertTrue(scheduler.isEmpty() || !step.isEmpty(), "nobody runs, seed " + seed);
      finishStep(step, scheduler, capacity, random);
      scheduler.checkInvariants();
    }
    for (Sequence s : scheduler.all()) {
      scheduler.remove(s);
    }
    assertEquals(blocks.numBlocks(), blocks.numFree());
  }

  private static Sequence sequence(int[] prompt, long arrival) {
    GenerationRequest request = new GenerationRequest("x", prompt, SamplingParams.greedy(1000));
    QueuedGeneration generation =
        new QueuedGeneration("x", 1, () -> {}, (g, choice) -> {}, g -> {});
    return new Sequence(generation, request, 0, arrival);
  }

  private static void checkStep(List<Chunk> step, BlockManager blocks, int budget, int maxSeqs) {
    Set<Sequence> seen = new HashSet<>();
    int tokens = 0;
    long lastArrival = -1;
    for (Chunk chunk : step) {
      Sequence s = chunk.sequence();
      assertTrue(seen.add(s), "a sequence is twice in a step");
      assertTrue(chunk.count() >= 1 && chunk.count() <= s.numNewTokens());
      int end = s.numComputedTokens() + chunk.count();
      assertTrue(s.numBlocks() * blocks.blockSize() >= end, "a token without a block");
      tokens += chunk.count();
      lastArrival = Math.max(lastArrival, s.arrival());
    }
    assertTrue(tokens <= budget);
    assertTrue(step.size() <= maxSeqs);
  }

  private static void finishStep(
      List<Chunk> step, Scheduler scheduler, int capacity, Random random) {
    for (Chunk chunk : List.copyOf(step)) {
      Sequence s = chunk.sequence();
      s.computed(chunk.count());
      if (s.numNewTokens() == 0) {
        s.append(random.nextInt(VOCAB));
        if (s.numTokens() >= capacity || random.nextInt(12) == 0) {
          scheduler.remove(s);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14})
  void engine_saysWhatTheModelSays(long seed) throws Exception {
    Random random = new Random(seed);
    FakeBackend backend = new FakeBackend(20 + random.nextInt(20), 4, VOCAB);
    int maxLen = backend.numBlocks() * 4;
    EngineConfig config =
        new EngineConfig(
            maxLen, 1 + random.nextInt(10), 16 + random.nextInt(50), 10_000, VOCAB, Set.of());
    long preemptions;
    try (Engine engine = new Engine(backend, config)) {
      List<Thread> clients = new ArrayList<>();
      List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
      for (int c = 0; c < 120; c++) {
        int[] prompt = random.ints(1 + random.nextInt(maxLen / 2), 0, VOCAB).toArray();
        int tokens = 1 + random.nextInt(maxLen - prompt.length);
        int leaveAfter = random.nextInt(4) == 0 ? random.nextInt(tokens) : -1;
        clients.add(
            Thread.ofVirtual()
                .start(
                    () -> {
                      try {
                        client(engine, prompt, tokens, leaveAfter);
                      } catch (Throwable t) {
                        failures.add(t);
                      }
                    }));
      }
      for (Thread client : clients) {
        client.join();
      }
      assertEquals(List.of(), failures);
      while (engine.stats().running() + engine.stats().waiting() > 0) {
        Thread.sleep(1);
      }
      assertEquals(backend.numBlocks(), engine.stats().freeBlocks());
      preemptions = engine.stats().preemptions();
      assertTrue(engine.ready());
    }
    System.out.println("seed " + seed + ": " + preemptions + " preemptions");
  }

  private static void client(Engine engine, int[] prompt, int tokens, int leaveAfter)
      throws InterruptedException {
    SamplingParams params =
        new SamplingParams(1, tokens, 0, 0, 1, 0, 0, 0, 0, 1, Map.of(), 0, Set.of(), true, 0, -1);
    Generation generation = engine.submit(new GenerationRequest("x", prompt, params));
    int[] context = Arrays.copyOf(prompt, prompt.length + tokens);
    int[] made = new int[tokens];
    int count = 0;
    while (true) {
      EngineEvent event = generation.take();
      if (event instanceof EngineEvent.Token t) {
        made[count++] = t.result().tokenId();
        if (count == leaveAfter) {
          generation.cancel();
        }
      } else if (event instanceof EngineEvent.Finished) {
        break;
      } else {
        throw new AssertionError(event.toString());
      }
    }
    int[] expected = new int[count];
    for (int i = 0; i < count; i++) {
      expected[i] = FakeBackend.next(context, prompt.length + i, VOCAB);
      context[prompt.length + i] = expected[i];
    }
    assertArrayEquals(expected, Arrays.copyOf(made, count));
    assertTrue(leaveAfter >= 0 || count == tokens);
  }
}

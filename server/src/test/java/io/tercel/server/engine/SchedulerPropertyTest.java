package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.Scheduler.Chunk;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Seeded random lives of many sequences against scheduler, blocks and prefix cache, with no engine
 * and no model, and every invariant checked after each event. Classes, priorities, groups, n, and
 * what becomes of keys at new weights are each sequence's own; {@link KeyLedger} keeps what the
 * blocks would hold.
 */
class SchedulerPropertyTest {
  private static final int EVENTS = 10_000;
  private static final int VOCAB = 251;

  /** What has happened in a run; a property over events that never came proves nothing. */
  private static final class Seen {
    int submitted;
    int cancelled;
    int finished;
    int stalled;
    int dropped;
    int kept;
    int choices;
    long keptPositions;
    int chunks;
    int idle;
  }

  private Random random = new Random(0);
  private BlockManager blocks = new BlockManager(1, 1, true);
  private Scheduler scheduler = new Scheduler(blocks, config(1, 1), 0);
  private int budget;
  private int maxSeqs;
  private int capacity;
  private CacheMirror mirror = new CacheMirror();
  private KeyLedger ledger = new KeyLedger(blocks);
  private long version;
  private long arrival;
  private int[][] prefixes = {};
  private final List<Sequence> unread = new ArrayList<>();
  private final Seen seen = new Seen();

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void randomLives_keepTheInvariants(long seed) throws Exception {
    begin(seed);
    for (int event = 0; event < EVENTS; event++) {
      try {
        event();
        scheduler.checkInvariants();
        ledger.check(scheduler.all());
        assertEquals(blocks.numCached(), mirror.size(), "blocks that a listener knows");
        seen.keptPositions += ledger.keptPositions;
      } catch (RuntimeException | AssertionError e) {
        throw new AssertionError("seed " + seed + ", event " + event + ": " + e.getMessage(), e);
      }
    }
    for (Sequence s : scheduler.all()) {
      scheduler.remove(s);
    }
    scheduler.checkInvariants();
    assertEquals(blocks.numBlocks(), blocks.numFree());
    String summary =
        "seed %d: %d submitted, %d cancelled, %d finished, %d stalled, %d preempted, %d tokens hit,"
            + " %d recovered, %d dropped, %d kept (%d broken), %d choices at new weights, %d chunks,"
            + " %d idle";
    System.out.printf(
        summary + "%n",
        seed,
        seen.submitted,
        seen.cancelled,
        seen.finished,
        seen.stalled,
        scheduler.preemptions(),
        blocks.hitTokens(),
        blocks.recoveredTokens(),
        seen.dropped,
        seen.kept,
        ledger.brokenKv,
        seen.choices,
        seen.chunks,
        seen.idle);
    assertTrue(
        seen.submitted > 100
            && seen.cancelled > 10
            && seen.finished > 50
            && seen.stalled > 20
            && seen.dropped > 20
            && seen.kept > 20
            && seen.choices > 20
            && seen.keptPositions > 100
            && seen.chunks > 20);
    assertTrue(scheduler.preemptions() > 20, "preemptions");
    for (ServiceClass c : ServiceClass.values()) {
      assertTrue(scheduler.queue(c).preemptions() > 0, "preemptions of class " + c.label());
    }
    assertTrue(ledger.brokenKv > 0, "kept keys that were lost");
    assertTrue(
        ledger.brokenCatchingUp + ledger.brokenWaiting > 0,
        "and for which new weights came while they were");
    assertEquals(ledger.brokenKv, scheduler.brokenKv().times(), "told of");
    assertTrue(blocks.hitTokens() > 100, "prefix hits");
    assertTrue(blocks.recoveredTokens() > 20, "hits after a preemption");
  }

  private static EngineConfig config(int maxNumSeqs, int budget) {
    return EngineConfig.builder(1000, VOCAB)
        .maxNumSeqs(maxNumSeqs)
        .maxNumBatchedTokens(budget)
        .build();
  }

  private void begin(long seed) {
    random = new Random(seed);
    mirror = new CacheMirror();
    blocks = new BlockManager(12 + random.nextInt(30), 1 + random.nextInt(8), true, mirror);
    maxSeqs = 2 + random.nextInt(8);
    budget = maxSeqs + random.nextInt(40);
    scheduler = new Scheduler(blocks, config(maxSeqs, budget), 0);
    capacity = blocks.numBlocks() * blocks.blockSize();
    ledger = new KeyLedger(blocks);
    prefixes = new int[4][];
    for (int i = 0; i < prefixes.length; i++) {
      prefixes[i] = random.ints(1 + random.nextInt(capacity / 3), 0, VOCAB).toArray();
    }
  }

  private void event() throws InterruptedException {
    switch (random.nextInt(20)) {
      case 0, 1, 2, 3 -> submit();
      case 4 -> {
        if (random.nextInt(3) == 0) {
          cancel();
        }
      }
      case 5 -> stall();
      case 6, 7 -> read();
      case 8 -> {
        if (random.nextInt(8) == 0) {
          changeWeights();
        }
      }
      case 9 -> {
        if (random.nextInt(8) == 0) {
          blocks.forgetUnused();
          assertEquals(0, blocks.numCachedFree());
        }
      }
      default -> step();
    }
  }

  private void submit() {
    if (scheduler.all().size() > 3 * maxSeqs) {
      return;
    }
    seen.submitted++;
    int[] prefix = prefixes[random.nextInt(prefixes.length)];
    int[] prompt = Arrays.copyOf(prefix, 1 + random.nextInt(prefix.length));
    if (random.nextBoolean()) { // leaves the prefix somewhere
      prompt[random.nextInt(prompt.length)] = random.nextInt(VOCAB);
    }
    int n = random.nextInt(4) == 0 ? 1 + random.nextInt(3) : 1;
    int scores = random.nextInt(8) == 0 ? 0 : -1;
    SamplingParams params =
        SamplingParams.builder().n(n).maxTokens(1000).promptLogprobs(scores).build();
    GenerationRequest request =
        new GenerationRequest("x", prompt, params)
            .withServiceClass(any(ServiceClass.values()))
            .withPriority(random.nextInt(3))
            .withStaleKv(any(StaleKv.values()))
            .withGroup(random.nextInt(3) == 0 ? "g" + random.nextInt(3) : null);
    QueuedGeneration generation = new QueuedGeneration("x", n, new SchedulerLab.Nobody());
    scheduler.add(Sequence.choices(generation, request, arrival++));
  }

  private <T> T any(T[] values) {
    return values[random.nextInt(values.length)];
  }

  private @Nullable Sequence any() {
    List<Sequence> all = scheduler.all();
    return all.isEmpty() ? null : all.get(random.nextInt(all.size()));
  }

  private void cancel() {
    Sequence s = any();
    if (s != null) {
      seen.cancelled++;
      remove(s);
    }
  }

  private void remove(Sequence s) {
    scheduler.remove(s);
    unread.remove(s);
  }

  private void stall() {
    Sequence s = any();
    if (s == null || unread.contains(s)) {
      return;
    }
    seen.stalled++;
    unread.add(s);
    SchedulerLab.stall(s);
  }

  /** The client reads all there is: its other stalled choices may go on too. */
  private void read() throws InterruptedException {
    if (unread.isEmpty()) {
      return;
    }
    QueuedGeneration generation = unread.get(random.nextInt(unread.size())).generation();
    long choices = unread.stream().filter(s -> s.generation() == generation).count();
    for (long i = choices * QueuedGeneration.CAPACITY; i > 0; i--) {
      generation.take();
    }
    unread.removeIf(s -> s.generation() == generation);
  }

  private void changeWeights() {
    version++;
    for (Sequence s : scheduler.all()) {
      if (s.numComputedTokens() > 0) {
        seen.dropped += s.staleKv() == StaleKv.DROP ? 1 : 0;
        seen.kept += s.staleKv() == StaleKv.KEEP ? 1 : 0;
        seen.choices += s.params().n() > 1 ? 1 : 0;
      }
    }
    scheduler.weightsChanged(version, true);
    ledger.newWeights(version, scheduler.all());
  }

  private void step() {
    List<Chunk> step = scheduler.schedule();
    scheduler.checkInvariants();
    ledger.follow(scheduler.all());
    checkStep(step);
    boolean somebodyCould = scheduler.all().stream().anyMatch(s -> !unread.contains(s));
    assertTrue(!step.isEmpty() || !somebodyCould, () -> "nobody runs: " + describe());
    seen.idle += step.isEmpty() ? 1 : 0;
    for (Chunk chunk : step) {
      compute(chunk);
    }
    for (Chunk chunk : step) {
      finish(chunk);
    }
  }

  private String describe() {
    StringBuilder text = new StringBuilder("blocks free " + blocks.numFree());
    for (Sequence s : scheduler.all()) {
      text.append(
          "%n%s %s choice %d group %s: %d of %d computed, %d blocks%s%s"
              .formatted(
                  s.serviceClass().label(),
                  s.state(),
                  s.choice(),
                  s.group(),
                  s.numComputedTokens(),
                  s.numTokens(),
                  s.numBlocks(),
                  s.stalled() ? ", stalled" : "",
                  s.awaitsPrompt() ? ", awaits its prompt" : ""));
    }
    return text.toString();
  }

  private void checkStep(List<Chunk> step) {
    Set<Sequence> once = new HashSet<>();
    int tokens = 0;
    for (Chunk chunk : step) {
      Sequence s = chunk.sequence();
      assertTrue(once.add(s), "a sequence is twice in a step");
      assertTrue(!unread.contains(s), "a stalled sequence is in a step");
      assertTrue(chunk.count() >= 1 && chunk.count() <= s.numNewTokens());
      int end = s.numComputedTokens() + chunk.count();
      assertTrue(s.numBlocks() * blocks.blockSize() >= end, "a token without a block");
      assertTrue(!s.awaitsPromptScores() || s.numComputedTokens() <= scored(s), "unscored");
      tokens += chunk.count();
    }
    assertTrue(tokens <= budget);
    assertTrue(scheduler.numRunning() <= maxSeqs);
  }

  private static int scored(Sequence s) {
    List<TokenResult> scores = s.promptScores();
    return scores == null ? Integer.MAX_VALUE : scores.size();
  }

  private void compute(Chunk chunk) {
    Sequence s = chunk.sequence();
    ledger.compute(s, chunk.count());
    List<TokenResult> scores = s.promptScores();
    if (scores != null) {
      int end = Math.min(s.numComputedTokens() + chunk.count(), s.numPromptTokens() - 1);
      while (scores.size() < end) {
        scores.add(new TokenResult(0, 0, 0, List.of()));
      }
    }
  }

  private void finish(Chunk chunk) {
    Sequence s = chunk.sequence();
    seen.chunks += chunk.count() > 1 ? 1 : 0;
    s.start(version);
    scheduler.computed(s, chunk.count());
    if (s.numNewTokens() == 0) {
      s.append(random.nextInt(3)); // few words, so that outputs meet as well as prompts
      if (s.numTokens() >= capacity || random.nextInt(20) == 0) {
        seen.finished++;
        remove(s);
      }
    }
  }
}

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
 * and no model, and every invariant checked after each event. What the blocks would hold is kept
 * beside them: a block that is stale, shared wrongly or written by two is seen at once.
 */
class SchedulerPropertyTest {
  private static final int EVENTS = 10_000;
  private static final int VOCAB = 251;

  /** What has happened in a run; a property over events that never came proves nothing. */
  private static final class Seen {
    int submitted;
    int cancelled;
    int finished;
    int paused;
    int dropped;
    int kept;
    int chunks;
    int idle;
  }

  private Random random = new Random(0);
  private BlockManager blocks = new BlockManager(1, 1, true);
  private Scheduler scheduler = new Scheduler(blocks, 1, 1);
  private int budget;
  private int maxSeqs;
  private int capacity;
  private long[] slots = {};
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
        checkContents();
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
        "seed %d: %d submitted, %d cancelled, %d finished, %d paused, %d preempted, %d tokens hit,"
            + " %d recovered, %d drops, %d keeps, %d chunks, %d idle";
    System.out.printf(
        summary + "%n",
        seed,
        seen.submitted,
        seen.cancelled,
        seen.finished,
        seen.paused,
        scheduler.preemptions(),
        blocks.hitTokens(),
        blocks.recoveredTokens(),
        seen.dropped,
        seen.kept,
        seen.chunks,
        seen.idle);
    assertTrue(
        seen.submitted > 100
            && seen.cancelled > 10
            && seen.finished > 50
            && seen.paused > 20
            && seen.dropped > 5
            && seen.kept > 5
            && seen.chunks > 20);
    assertTrue(scheduler.preemptions() > 20, "preemptions");
    assertTrue(blocks.hitTokens() > 100, "prefix hits");
    assertTrue(blocks.recoveredTokens() > 20, "hits after a preemption");
  }

  private void begin(long seed) {
    random = new Random(seed);
    blocks = new BlockManager(12 + random.nextInt(30), 1 + random.nextInt(8), true);
    maxSeqs = 2 + random.nextInt(8);
    budget = maxSeqs + random.nextInt(40);
    scheduler = new Scheduler(blocks, maxSeqs, budget);
    capacity = blocks.numBlocks() * blocks.blockSize();
    slots = new long[capacity];
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
      case 5 -> pause();
      case 6, 7 -> read();
      case 8 -> {
        if (random.nextInt(8) == 0) {
          changeWeights();
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
    GenerationRequest request = new GenerationRequest("x", prompt, params, random.nextInt(3));
    QueuedGeneration generation = new QueuedGeneration("x", n, new Nobody());
    Sequence leader = null;
    for (int choice = 0; choice < n; choice++) {
      Sequence s = new Sequence(generation, request, choice, leader, arrival);
      leader = leader == null ? s : leader;
      scheduler.add(s);
    }
    arrival++;
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

  private void pause() {
    Sequence s = any();
    if (s == null || unread.contains(s)) {
      return;
    }
    seen.paused++;
    unread.add(s);
    for (int i = 0; i < QueuedGeneration.CAPACITY; i++) {
      s.generation()
          .post(new EngineEvent.Token(s.choice(), new TokenResult(0, 0, 0, List.of()), 0, false));
    }
    assertTrue(s.paused());
  }

  /** The client reads all there is: its other paused choices may go on too. */
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
    if (random.nextBoolean()) {
      seen.dropped++;
      scheduler.weightsChanged(StaleKv.DROP);
    } else {
      seen.kept++;
      scheduler.weightsChanged(StaleKv.KEEP);
    }
  }

  private void step() {
    List<Chunk> step = List.copyOf(scheduler.schedule());
    scheduler.checkInvariants();
    checkStep(step);
    boolean somebodyCould = scheduler.all().stream().anyMatch(s -> !unread.contains(s));
    boolean onlyFollowers = scheduler.all().stream().allMatch(s -> s.paused() || s.awaitsLeader());
    assertTrue(!step.isEmpty() || !somebodyCould || onlyFollowers, "nobody runs");
    seen.idle += step.isEmpty() ? 1 : 0;
    for (Chunk chunk : step) {
      compute(chunk);
    }
    for (Chunk chunk : step) {
      finish(chunk);
    }
  }

  private void checkStep(List<Chunk> step) {
    Set<Sequence> once = new HashSet<>();
    int tokens = 0;
    for (Chunk chunk : step) {
      Sequence s = chunk.sequence();
      assertTrue(once.add(s), "a sequence is twice in a step");
      assertTrue(!unread.contains(s), "a paused sequence is in a step");
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

  private int slot(Sequence s, int position) {
    return s.block(position / blocks.blockSize()) * blocks.blockSize()
        + position % blocks.blockSize();
  }

  /** What a slot shall hold: the token and where it stands, hashed over all before it. */
  private long content(Sequence s, int position) {
    long h = 17;
    for (int i = 0; i <= position; i++) {
      h = h * 1_000_003 + s.token(i) + 1;
    }
    return s.mixesWeights() ? h : h * 31 + version;
  }

  private void compute(Chunk chunk) {
    Sequence s = chunk.sequence();
    for (int i = 0; i < chunk.count(); i++) {
      slots[slot(s, s.numComputedTokens() + i)] = content(s, s.numComputedTokens() + i);
    }
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
    s.start();
    scheduler.computed(s, chunk.count());
    if (s.numNewTokens() == 0) {
      s.append(random.nextInt(3)); // few words, so that outputs meet as well as prompts
      if (s.numTokens() >= capacity || random.nextInt(20) == 0) {
        seen.finished++;
        remove(s);
      }
    }
  }

  /** Every sequence would read its own tokens, of the present weights, from its blocks. */
  private void checkContents() {
    for (Sequence s : scheduler.all()) {
      if (s.mixesWeights()) {
        continue; // has older ones by intent, and shares none of them
      }
      long h = 17;
      for (int i = 0; i < s.numComputedTokens(); i++) {
        h = h * 1_000_003 + s.token(i) + 1;
        assertEquals(h * 31 + version, slots[slot(s, i)], "content of position " + i);
      }
    }
  }

  static final class Nobody implements QueuedGeneration.Owner {
    @Override
    public void onRoom() {}

    @Override
    public void onEnd(QueuedGeneration generation, int choice, EngineEvent.FinishReason reason) {}
  }
}

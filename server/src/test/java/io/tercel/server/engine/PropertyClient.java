package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One random request and what is expected of it. The weights of each token are known, so each token
 * of a request that drops stale keys is too, and so are the keys of one that keeps them: a
 * position's keys are made by the step that says the next token. How many of them are stale the
 * fake model tells besides.
 */
final class PropertyClient {
  /** What has happened; a property over events that never came proves nothing. */
  static final class Seen {
    final AtomicInteger dropped = new AtomicInteger();
    final AtomicInteger kept = new AtomicInteger();
    final AtomicInteger broken = new AtomicInteger();
    final AtomicInteger choicesKept = new AtomicInteger();
    final AtomicInteger choicesDropped = new AtomicInteger();
    final AtomicInteger drawn = new AtomicInteger();
    volatile int runningAtChange;

    @Override
    public String toString() {
      return "dropped %s, kept %s (choices %s and %s), broken %s, drawn %s, running at changes %d"
          .formatted(dropped, kept, choicesDropped, choicesKept, broken, drawn, runningAtChange);
    }
  }

  private record Said(int token, long version, int stale) {}

  private final Engine engine;
  private final Seen seen;
  private final CountDownLatch wake;
  private final int[] prompt;
  private final int n;
  private final int tokens;
  private final int leaveAfter;
  private final boolean sleeps;
  private final boolean greedy;
  private final long seed;
  private final GenerationRequest request;
  private final List<List<Said>> choices = new ArrayList<>();

  PropertyClient(
      Engine engine, Random random, int[][] prefixes, int maxLen, Seen seen, CountDownLatch wake) {
    this.engine = engine;
    this.seen = seen;
    this.wake = wake;
    int[] prefix = prefixes[random.nextInt(prefixes.length)];
    prompt = Arrays.copyOf(prefix, 1 + random.nextInt(prefix.length));
    if (random.nextInt(3) == 0) {
      prompt[random.nextInt(prompt.length)] = random.nextInt(EnginePropertyTest.VOCAB);
    }
    n = random.nextInt(4) == 0 ? 2 + random.nextInt(3) : 1;
    sleeps = random.nextInt(20) == 0;
    int longest = sleeps || random.nextInt(4) == 0 ? maxLen - prompt.length : 60;
    tokens = sleeps ? longest : 1 + random.nextInt(longest);
    leaveAfter = random.nextInt(5) == 0 && n == 1 && !sleeps ? random.nextInt(tokens) : -1;
    greedy = random.nextBoolean();
    seed = random.nextLong();
    SamplingParams params =
        SamplingParams.builder()
            .n(n)
            .maxTokens(tokens)
            .temperature(greedy ? 0 : 1)
            .seed(seed)
            .ignoreEos(true)
            .build();
    request =
        new GenerationRequest("x", prompt, params)
            .withServiceClass(ServiceClass.values()[random.nextInt(3)])
            .withPriority(random.nextInt(3))
            .withStaleKv(StaleKv.values()[random.nextInt(2)])
            .withGroup(random.nextInt(4) == 0 ? "g" + random.nextInt(4) : null);
    for (int i = 0; i < n; i++) {
      choices.add(new ArrayList<>());
    }
  }

  void run() throws InterruptedException {
    Generation generation = engine.submit(request);
    for (int open = n; open > 0; ) {
      switch (generation.take()) {
        case EngineEvent.Started started ->
            assertTrue(started.cachedTokens() < prompt.length, "the last one is computed");
        case EngineEvent.Token token -> {
          choices
              .get(token.choice())
              .add(
                  new Said(
                      token.result().tokenId(),
                      token.weightVersion(),
                      FakeBackend.staleKeys(token.result())));
          if (choices.getFirst().size() == leaveAfter) {
            generation.cancel();
          } else if (sleeps) {
            wake.await(); // its queue fills up meanwhile
          }
        }
        case EngineEvent.Finished finished -> {
          open--;
          check(finished);
        }
        case EngineEvent other -> throw new AssertionError(other.toString());
      }
    }
    if (n > 1 && !greedy && tokens > 8) {
      seen.drawn.incrementAndGet();
      assertTrue(
          choices.stream().map(c -> c.stream().map(Said::token).toList()).distinct().count() == n,
          "choices are drawn each for itself");
    }
  }

  private void check(EngineEvent.Finished finished) {
    List<Said> said = choices.get(finished.choice());
    assertTrue(leaveAfter >= 0 || said.size() == tokens, "all tokens");
    for (int i = 1; i < said.size(); i++) {
      assertTrue(said.get(i).version() >= said.get(i - 1).version(), "weights go forward");
    }
    boolean changed = !said.isEmpty() && said.getFirst().version() != said.getLast().version();
    if (request.staleKv() == StaleKv.DROP) {
      assertEquals(List.of(), finished.brokenKv());
      checkDropped(said, finished.choice());
      count(changed, seen.dropped, seen.choicesDropped);
    } else if (!finished.brokenKv().isEmpty()) {
      seen.broken.addAndGet(finished.brokenKv().size());
      checkBroken(said, finished.brokenKv());
    } else if (!said.isEmpty() && said.getFirst().stale() == 0) {
      checkKept(said, finished.choice());
      count(changed, seen.kept, seen.choicesKept);
    }
  }

  private void count(boolean changed, AtomicInteger all, AtomicInteger ofSeveral) {
    if (changed) {
      all.incrementAndGet();
      ofSeveral.addAndGet(n > 1 ? 1 : 0);
    }
  }

  private int noise(int choice) {
    return greedy ? 0 : FakeBackend.noise(seed, choice);
  }

  private static int say(int[] keys, int length, long version, int noise) {
    return FakeBackend.say(keys, length, EnginePropertyTest.VOCAB, version, noise);
  }

  /** Every token is said from keys of its own weights alone. */
  private void checkDropped(List<Said> said, int choice) {
    int[] context = Arrays.copyOf(prompt, prompt.length + said.size());
    for (int i = 0; i < said.size(); i++) {
      Said s = said.get(i);
      int length = prompt.length + i;
      int[] keys = new int[length];
      Arrays.setAll(keys, p -> FakeBackend.key(context[p], s.version()));
      assertEquals(say(keys, length, s.version(), noise(choice)), s.token(), "token " + i);
      assertEquals(0, s.stale(), "stale keys of token " + i);
      context[length] = s.token();
    }
  }

  /** The prompt's keys are the first token's weights', and each token's own those of the next. */
  private void checkKept(List<Said> said, int choice) {
    int[] keys = Arrays.copyOf(prompt, prompt.length + said.size());
    long[] versions = new long[keys.length];
    Arrays.setAll(
        keys, p -> p < prompt.length ? FakeBackend.key(prompt[p], said.getFirst().version()) : 0);
    Arrays.fill(versions, 0, prompt.length, said.getFirst().version());
    for (int i = 0; i < said.size(); i++) {
      Said s = said.get(i);
      int length = prompt.length + i;
      if (i > 0) {
        keys[length - 1] = FakeBackend.key(said.get(i - 1).token(), s.version());
        versions[length - 1] = s.version();
      }
      long stale = Arrays.stream(versions, 0, length).filter(v -> v != s.version()).count();
      assertEquals(stale, s.stale(), "stale keys of token " + i);
      assertEquals(say(keys, length, s.version(), noise(choice)), s.token(), "token " + i);
    }
  }

  /** What was computed again is no longer stale, and was before. */
  private static void checkBroken(List<Said> said, List<EngineEvent.BrokenKv> broken) {
    for (EngineEvent.BrokenKv kv : broken) {
      assertTrue(kv.tokens() > 0 && kv.generated() <= said.size(), kv.toString());
      if (kv.generated() < said.size()) {
        Said after = said.get(kv.generated());
        assertTrue(after.version() >= kv.weightVersion(), "made again by weights up to its own");
        if (after.version() == kv.weightVersion()) {
          assertEquals(0, after.stale(), "stale keys after all was computed again");
        }
      }
    }
  }
}

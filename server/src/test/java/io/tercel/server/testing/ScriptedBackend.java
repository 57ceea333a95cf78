package io.tercel.server.testing;

import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.ops.TokenResult.TokenLogprob;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A model that says what a test has written for it, as slowly as the test wants. */
public final class ScriptedBackend implements Backend {
  public static final int BLOCK_SIZE = 16;
  private static final int MAX_FORCED = 3;

  /** The tokens of a choice; the last is said over and over. */
  @FunctionalInterface
  public interface Script {
    int[] tokens(int choice);
  }

  private record Stream(long seed, int choice) {}

  private record Place(int start, int last) {}

  private final int numBlocks;
  private final Map<Stream, Place> places = new HashMap<>();
  public volatile Script script;
  public volatile int stepMillis;
  public volatile @Nullable String failure;
  public volatile @Nullable Error error;
  public volatile long weightVersion = 1;

  /** Whether it computes NaN. */
  public volatile boolean nan;

  public ScriptedBackend(int numBlocks, Script script) {
    this.numBlocks = numBlocks;
    this.script = script;
  }

  @Override
  public String name() {
    return "scripted";
  }

  @Override
  public int blockSize() {
    return BLOCK_SIZE;
  }

  @Override
  public int numBlocks() {
    return numBlocks;
  }

  @Override
  public long keyVersion() {
    return 0;
  }

  @Override
  public long weightVersion() {
    return weightVersion;
  }

  @Override
  public List<TokenResult> step(StepBatch batch, SamplingPlan plan) {
    if (stepMillis > 0) {
      try {
        Thread.sleep(stepMillis); // the pace of a slow model; no test proves anything by it
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
    if (error != null) {
      throw error;
    }
    List<TokenResult> results = new ArrayList<>();
    for (int i = 0; i < plan.size(); i++) {
      SamplingRow row = plan.get(i);
      if (nan) {
        results.add(new TokenResult(0, Float.NaN, 0, List.of()));
        continue;
      }
      results.add(result(row.samples() ? sample(row) : row.target(), row.numLogprobs()));
    }
    return results;
  }

  private int sample(SamplingRow row) {
    Stream stream = new Stream(row.seed(), row.choice());
    Place before = places.get(stream);
    // forced tokens are scored, not sampled: the script goes on behind them
    int start =
        before != null
                && row.position() > before.last()
                && row.position() <= before.last() + 1 + MAX_FORCED
            ? before.start()
            : row.position();
    places.put(stream, new Place(start, row.position()));
    int[] tokens = script.tokens(row.choice());
    int index = row.position() - start;
    String fault = failure;
    if (fault != null && index == 12) {
      throw new IllegalStateException(fault);
    }
    return nextAllowed(tokens[Math.min(index, tokens.length - 1)], row);
  }

  /** The scripted token, or where it may not come the next higher one that may. */
  private static int nextAllowed(int token, SamplingRow row) {
    int id = token;
    while (!mayCome(id, row)) {
      id = (id + 1) % 512;
    }
    return id;
  }

  private static boolean mayCome(int id, SamplingRow row) {
    long[] allowed = row.allowed();
    boolean forbidden = row.forbidden() != null && row.forbidden().contains(id);
    return !forbidden
        && (allowed == null || (id >> 6 < allowed.length && (allowed[id >> 6] >>> id & 1) != 0));
  }

  private static TokenResult result(int id, int numLogprobs) {
    List<TokenLogprob> top = new ArrayList<>();
    for (int i = 0; i < numLogprobs; i++) {
      float logprob = i > 0 && i == numLogprobs - 1 ? Float.NEGATIVE_INFINITY : -0.5f * (i + 1);
      top.add(new TokenLogprob(i == 0 ? id : 'a' + i, logprob));
    }
    return new TokenResult(id, -0.5f, 1, top);
  }

  @Override
  public void close() {}
}

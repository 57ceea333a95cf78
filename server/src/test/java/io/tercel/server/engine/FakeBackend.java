package io.tercel.server.engine;

import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A model without weights whose "keys" are the token ids themselves: the next token is a hash of
 * the whole context as it reads it back from the blocks. A wrong block table, a stale or shared
 * block, or a token computed twice or not at all changes the text. So do the step's weights, keys
 * that other weights computed (each slot knows its version, as {@link #key}), and, where it is
 * sampled, seed and choice. Each answer's rank tells how many keys of other weights it was made
 * from, see {@link #staleKeys}.
 */
public class FakeBackend implements Backend {
  private static final int UNWRITTEN = -1;
  private static final int VERSION = 100_003; // above any vocabulary
  private static final int STALE = 1000; // above any rank

  private final int blockSize;
  private final int vocab;
  private final int[] slots;
  private final List<Integer> sequencesPerStep = new ArrayList<>();
  private final List<Integer> tokensPerStep = new ArrayList<>();
  private volatile @Nullable Semaphore gate;
  private volatile @Nullable Throwable failure;
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile long version;
  private volatile boolean inStep;
  private volatile @Nullable Model model;

  public FakeBackend(int numBlocks, int blockSize, int vocab) {
    this.blockSize = blockSize;
    this.vocab = vocab;
    this.slots = new int[numBlocks * blockSize];
    Arrays.fill(slots, UNWRITTEN);
    this.model = null;
  }

  /** What the model says after a context of keys. */
  @FunctionalInterface
  public interface Model {
    int next(int[] keys, int length);
  }

  /** Says something else than the hash of the context. */
  public void model(Model other) {
    model = other;
  }

  /** Whether a step is being computed. */
  public boolean inStep() {
    return inStep;
  }

  /** From now on each step waits for a permit. */
  public Semaphore gate() {
    Semaphore g = new Semaphore(0);
    gate = g;
    return g;
  }

  /** Lets all steps run freely again. */
  public void open() {
    Semaphore g = gate;
    gate = null;
    if (g != null) {
      g.release(1 << 20);
    }
  }

  /** The next step fails so: with a RuntimeException or an Error. */
  public void failOnce(Throwable e) {
    failure = e;
  }

  /** How many sequences each step held. */
  public synchronized List<Integer> sequencesPerStep() {
    return List.copyOf(sequencesPerStep);
  }

  /** How many rows each step held. */
  public synchronized List<Integer> tokensPerStep() {
    return List.copyOf(tokensPerStep);
  }

  public boolean isClosed() {
    return closed.get();
  }

  /** From the next step on the weights are others. */
  public void weightVersion(long newVersion) {
    version = newVersion;
  }

  /** What a version of the weights makes of a token; 0 leaves it as it is. */
  public static int key(int token, long version) {
    return token + (int) version * VERSION;
  }

  /** How many keys of other weights than its step's the answer was made from. */
  public static int staleKeys(TokenResult result) {
    return result.rank() / STALE;
  }

  /** What the model says after a context of tokens that one version has computed. */
  public static int next(int[] context, int length, int vocab, long version) {
    int[] keys = new int[length];
    for (int i = 0; i < length; i++) {
      keys[i] = key(context[i], version);
    }
    return say(keys, length, vocab, version, 0);
  }

  /** What the model says after a context of tokens, with its first weights. */
  public static int next(int[] context, int length, int vocab) {
    return next(context, length, vocab, 0);
  }

  /**
   * What weights of that version say after a context of keys.
   *
   * @param noise 0 for greedy, else {@link #noise}
   */
  public static int say(int[] keys, int length, int vocab, long version, int noise) {
    int h = 17;
    for (int i = 0; i < length; i++) {
      h = h * 31 + keys[i] + 1;
    }
    h += (int) version * 0x61C88647 + noise;
    h ^= h >>> 15;
    return Math.floorMod(h * 0x2C1B3C6D, vocab);
  }

  /** What a draw depends on beside the context; never 0. */
  public static int noise(long seed, int choice) {
    return Long.hashCode((seed * 31 + choice) * 0x9E3779B97F4A7C15L) | 1;
  }

  @Override
  public String name() {
    return "fake";
  }

  @Override
  public int blockSize() {
    return blockSize;
  }

  @Override
  public int numBlocks() {
    return slots.length / blockSize;
  }

  @Override
  public long keyVersion() {
    return 0;
  }

  @Override
  public long weightVersion() {
    return version;
  }

  @Override
  public List<TokenResult> step(StepBatch batch, SamplingPlan plan) {
    inStep = true;
    try {
      return compute(batch, plan);
    } finally {
      inStep = false;
    }
  }

  private List<TokenResult> compute(StepBatch batch, SamplingPlan plan) {
    Semaphore g = gate;
    if (g != null) {
      g.acquireUninterruptibly();
    }
    Throwable f = failure;
    failure = null;
    switch (f) {
      case null -> {}
      case Error e -> throw e;
      case RuntimeException e -> throw e;
      default -> throw new IllegalStateException(f);
    }
    synchronized (this) {
      sequencesPerStep.add(batch.numSequences());
      tokensPerStep.add(batch.numTokens());
    }
    int[] sequenceOf = new int[batch.numTokens()];
    for (int s = 0; s < batch.numSequences(); s++) {
      for (int row = batch.queryStart(s); row < batch.queryStart(s + 1); row++) {
        sequenceOf[row] = s;
        slots[slot(batch, s, batch.position(row))] = key(batch.tokenId(row), version);
      }
    }
    List<TokenResult> results = new ArrayList<>();
    for (int i = 0; i < plan.size(); i++) {
      results.add(answer(batch, sequenceOf, plan.get(i)));
    }
    return results;
  }

  private TokenResult answer(StepBatch batch, int[] sequenceOf, SamplingRow row) {
    int length = batch.position(row.row()) + 1;
    int[] context = new int[length];
    for (int p = 0; p < length; p++) {
      context[p] = slots[slot(batch, sequenceOf[row.row()], p)];
      if (context[p] == UNWRITTEN) {
        throw new IllegalStateException("position " + p + " was never computed");
      }
    }
    Model other = model;
    int noise = row.temperature() > 0 ? noise(row.seed(), row.choice()) : 0;
    int token =
        other == null ? say(context, length, vocab, version, noise) : other.next(context, length);
    while (obeys() && !drawable(token, row)) {
      token = (token + 1) % vocab;
    }
    int answer = row.samples() ? token : row.target();
    int stale = (int) Arrays.stream(context).filter(key -> key / VERSION != version).count();
    int rank = (answer == token ? 1 : 2) + STALE * stale;
    return new TokenResult(answer, answer == token ? -0.1f : -5f, rank, List.of());
  }

  /** Whether it draws what it may only. */
  protected boolean obeys() {
    return true;
  }

  private static boolean drawable(int token, SamplingRow row) {
    long[] allowed = row.allowed();
    boolean forbidden = row.forbidden() != null && row.forbidden().contains(token);
    return !forbidden
        && (allowed == null
            || (token >> 6 < allowed.length && (allowed[token >> 6] >>> token & 1) != 0));
  }

  private int slot(StepBatch batch, int sequence, int position) {
    return batch.blockTable(sequence)[position / blockSize] * blockSize + position % blockSize;
  }

  @Override
  public void close() {
    closed.set(true);
  }
}

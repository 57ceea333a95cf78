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
 * block, or a token computed twice or not at all changes the text. So do keys that other weights
 * computed: each slot knows its version, as {@link #key}.
 */
public class FakeBackend implements Backend {
  private static final int UNWRITTEN = -1;

  private final int blockSize;
  private final int vocab;
  private final int[] slots;
  private final List<Integer> sequencesPerStep = new ArrayList<>();
  private final List<Integer> tokensPerStep = new ArrayList<>();
  private volatile @Nullable Semaphore gate;
  private volatile @Nullable RuntimeException failure;
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile long version;
  private volatile boolean inStep;
  private volatile Model model;

  public FakeBackend(int numBlocks, int blockSize, int vocab) {
    this.blockSize = blockSize;
    this.vocab = vocab;
    this.slots = new int[numBlocks * blockSize];
    Arrays.fill(slots, UNWRITTEN);
    this.model = (keys, length) -> next(keys, length, vocab);
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

  /** The next step fails. */
  public void failOnce(RuntimeException e) {
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
    return token + (int) version * 100_003;
  }

  /** What the model says after a context of tokens that one version has computed. */
  public static int next(int[] context, int length, int vocab, long version) {
    int[] keys = new int[length];
    for (int i = 0; i < length; i++) {
      keys[i] = key(context[i], version);
    }
    return next(keys, length, vocab);
  }

  /** What the model says after a context of keys. */
  public static int next(int[] context, int length, int vocab) {
    int h = 17;
    for (int i = 0; i < length; i++) {
      h = h * 31 + context[i] + 1;
    }
    h ^= h >>> 15;
    return Math.floorMod(h * 0x2C1B3C6D, vocab);
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
    RuntimeException f = failure;
    if (f != null) {
      failure = null;
      throw f;
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
    int token = model.next(context, length);
    while (obeys() && !drawable(token, row)) {
      token = (token + 1) % vocab;
    }
    int answer = row.samples() ? token : row.target();
    return new TokenResult(
        answer, answer == token ? -0.1f : -5f, answer == token ? 1 : 2, List.of());
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

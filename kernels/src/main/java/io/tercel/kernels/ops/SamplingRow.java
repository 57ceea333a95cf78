package io.tercel.kernels.ops;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What is wanted of one row's logits: a sampled token, or the log-probability of a given one. Made
 * by {@link #sample} or {@link #score}; immutable.
 *
 * <p>Log-probabilities are those of the raw logits (temperature 1, before penalties and filters):
 * what a trainer needs, and what vLLM reports by default; or, of a sampled token, those of what it
 * was drawn from, see {@link #processed}.
 */
public final class SamplingRow {
  private final int row;
  private final int target;
  private final float temperature;
  private final float topP;
  private final int topK;
  private final float minP;
  private final long seed;
  private final int choice;
  private final int position;
  private final @Nullable Penalties penalties;
  private final @Nullable Map<Integer, Float> logitBias;
  private final @Nullable Set<Integer> forbidden;
  private final long @Nullable [] allowed;
  private final int numLogprobs;
  private final boolean processed;

  private SamplingRow(Builder b) {
    this.row = b.row;
    this.target = b.target;
    this.temperature = b.temperature;
    this.topP = b.topP;
    this.topK = b.topK;
    this.minP = b.minP;
    this.seed = b.seed;
    this.choice = b.choice;
    this.position = b.position;
    this.penalties = b.penalties;
    this.logitBias = b.logitBias;
    this.forbidden = b.forbidden;
    this.allowed = b.allowed;
    this.numLogprobs = b.numLogprobs;
    this.processed = b.processed;
  }

  /** A row that is sampled: greedily, from all ids, until the builder is told otherwise. */
  public static Builder sample(int row) {
    return new Builder(row, -1);
  }

  /** A row that is scored, not sampled. */
  public static SamplingRow score(int row, int target, int numLogprobs) {
    return new Builder(row, target).numLogprobs(numLogprobs).build();
  }

  /**
   * A row whose token is given, whatever the model says of it: certain, where log-probabilities are
   * of what was drawn from.
   */
  public static SamplingRow force(int row, int target, int numLogprobs, boolean processed) {
    return new Builder(row, target).numLogprobs(numLogprobs).processed(processed).build();
  }

  public boolean samples() {
    return target < 0;
  }

  /** Flat row in the {@link StepBatch}. */
  public int row() {
    return row;
  }

  /** The id whose log-probability and rank are wanted, or -1 to sample. */
  public int target() {
    return target;
  }

  /** 0 is greedy (lowest id among equals). */
  public float temperature() {
    return temperature;
  }

  /** Nucleus mass in (0, 1]. */
  public float topP() {
    return topP;
  }

  /** Most likely ids kept; 0 keeps all. */
  public int topK() {
    return topK;
  }

  /** Ids below minP x the largest probability are dropped. */
  public float minP() {
    return minP;
  }

  /** With {@link #choice} and {@link #position}, all that the noise depends on. */
  public long seed() {
    return seed;
  }

  /** Index among the n samples of a request. */
  public int choice() {
    return choice;
  }

  /** Number of tokens before the one drawn. */
  public int position() {
    return position;
  }

  /** Null when there are none. */
  public @Nullable Penalties penalties() {
    return penalties;
  }

  /** Added to raw logits before all else but log-probs; null when there is none. */
  public @Nullable Map<Integer, Float> logitBias() {
    return logitBias;
  }

  /** Ids that may not be drawn (end tokens before min_tokens); null when there are none. */
  public @Nullable Set<Integer> forbidden() {
    return forbidden;
  }

  /**
   * The only ids that may be drawn, a bit each: {@code id % 64} of word {@code id / 64}, no id
   * beyond the last word; null for all. It wins over bias; one id at least is allowed and not
   * forbidden. Not to be changed.
   */
  public long @Nullable [] allowed() {
    return allowed;
  }

  /** How many of the likeliest ids to report, 0 for none. */
  public int numLogprobs() {
    return numLogprobs;
  }

  /**
   * Whether log-probabilities and ranks are those of the distribution that the token is drawn from:
   * after bias, penalties, forbidden and allowed ids, temperature (1 where it is greedy), min_p,
   * top_k and top_p. What can't be drawn is not among the likeliest then, and a given token has all
   * the probability.
   */
  public boolean processed() {
    return processed;
  }

  /** Whether there is but one id that can be drawn: a given one, or the only allowed one. */
  public boolean isForced() {
    if (target >= 0) {
      return true;
    }
    if (allowed == null) {
      return false;
    }
    int count = 0;
    for (int i = 0; i < allowed.length && count < 2; i++) {
      count += Long.bitCount(allowed[i]);
    }
    return count == 1;
  }

  /** Sets a row's fields by name; their meanings are at the row's accessors. */
  public static final class Builder {
    private final int row;
    private final int target;
    private float temperature;
    private float topP = 1;
    private int topK;
    private float minP;
    private long seed;
    private int choice;
    private int position;
    private @Nullable Penalties penalties;
    private @Nullable Map<Integer, Float> logitBias;
    private @Nullable Set<Integer> forbidden;
    private long @Nullable [] allowed;
    private int numLogprobs;
    private boolean processed;

    private Builder(int row, int target) {
      this.row = row;
      this.target = target;
    }

    public Builder temperature(float value) {
      temperature = value;
      return this;
    }

    public Builder topP(float value) {
      topP = value;
      return this;
    }

    public Builder topK(int value) {
      topK = value;
      return this;
    }

    public Builder minP(float value) {
      minP = value;
      return this;
    }

    public Builder seed(long value) {
      seed = value;
      return this;
    }

    public Builder choice(int value) {
      choice = value;
      return this;
    }

    public Builder position(int value) {
      position = value;
      return this;
    }

    public Builder penalties(@Nullable Penalties value) {
      penalties = value;
      return this;
    }

    public Builder logitBias(@Nullable Map<Integer, Float> value) {
      logitBias = value;
      return this;
    }

    public Builder forbidden(@Nullable Set<Integer> value) {
      forbidden = value;
      return this;
    }

    /** Not copied. */
    public Builder allowed(long @Nullable [] value) {
      allowed = value;
      return this;
    }

    public Builder numLogprobs(int value) {
      numLogprobs = value;
      return this;
    }

    public Builder processed(boolean value) {
      processed = value;
      return this;
    }

    public SamplingRow build() {
      return new SamplingRow(this);
    }
  }
}

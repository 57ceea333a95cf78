package io.tercel.server.engine;

import java.time.Duration;
import java.util.Set;

/**
 * The engine's limits; made by {@link #builder}.
 *
 * @param model what the model allows
 * @param maxNumSeqs sequences in one step
 * @param maxNumBatchedTokens tokens in one step, decodes and prefill chunks together
 * @param maxWaiting sequences that may wait; one more is refused
 * @param prefixCaching whether a prompt's beginning is taken from those before it
 * @param stallTimeout how long a client may leave a full queue unread before its request is ended
 */
public record EngineConfig(
    Model model,
    int maxNumSeqs,
    int maxNumBatchedTokens,
    int maxWaiting,
    boolean prefixCaching,
    Duration stallTimeout) {
  /** Time enough for any client that still reads. */
  public static final Duration DEFAULT_STALL_TIMEOUT = Duration.ofSeconds(60);

  /**
   * What the model allows.
   *
   * @param maxModelLen prompt and output tokens of one sequence
   * @param vocabSize ids are below this
   * @param eosTokenIds ids that end a choice
   */
  public record Model(int maxModelLen, int vocabSize, Set<Integer> eosTokenIds) {
    public Model {
      eosTokenIds = Set.copyOf(eosTokenIds);
      if (maxModelLen < 2) {
        throw new IllegalArgumentException(
            "max-model-len: " + maxModelLen + ", at least 2 is needed");
      }
    }
  }

  public EngineConfig {
    if (maxNumSeqs < 1) {
      throw new IllegalArgumentException("max-num-seqs: " + maxNumSeqs + ", at least 1 is needed");
    }
    if (!stallTimeout.isPositive()) {
      throw new IllegalArgumentException("stall-timeout: " + stallTimeout + " is not positive");
    }
    if (maxNumBatchedTokens < maxNumSeqs) {
      throw new IllegalArgumentException(
          "max-num-batched-tokens: %d is below max-num-seqs: %d; every running sequence needs one"
              .formatted(maxNumBatchedTokens, maxNumSeqs));
    }
  }

  /** The defaults of {@code serve}, for a model that allows so much. */
  public static Builder builder(int maxModelLen, int vocabSize) {
    return new Builder(maxModelLen, vocabSize);
  }

  /** Sets the limits by name. */
  public static final class Builder {
    private final int maxModelLen;
    private final int vocabSize;
    private Set<Integer> eosTokenIds = Set.of();
    private int maxNumSeqs = 32;
    private int maxNumBatchedTokens = 512;
    private int maxWaiting = 1024;
    private boolean prefixCaching = true;
    private Duration stallTimeout = DEFAULT_STALL_TIMEOUT;

    private Builder(int maxModelLen, int vocabSize) {
      this.maxModelLen = maxModelLen;
      this.vocabSize = vocabSize;
    }

    public Builder eosTokenIds(Set<Integer> value) {
      eosTokenIds = value;
      return this;
    }

    public Builder maxNumSeqs(int value) {
      maxNumSeqs = value;
      return this;
    }

    public Builder maxNumBatchedTokens(int value) {
      maxNumBatchedTokens = value;
      return this;
    }

    public Builder maxWaiting(int value) {
      maxWaiting = value;
      return this;
    }

    public Builder prefixCaching(boolean value) {
      prefixCaching = value;
      return this;
    }

    public Builder stallTimeout(Duration value) {
      stallTimeout = value;
      return this;
    }

    public EngineConfig build() {
      return new EngineConfig(
          new Model(maxModelLen, vocabSize, eosTokenIds),
          maxNumSeqs,
          maxNumBatchedTokens,
          maxWaiting,
          prefixCaching,
          stallTimeout);
    }
  }
}

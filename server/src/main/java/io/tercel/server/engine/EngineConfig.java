package io.tercel.server.engine;

import java.time.Duration;
import java.util.Set;

/**
 * The engine's limits.
 *
 * @param maxModelLen prompt and output tokens of one sequence
 * @param maxNumSeqs sequences in one step
 * @param maxNumBatchedTokens tokens in one step, decodes and prefill chunks together
 * @param maxWaiting requests that may wait; one more is refused
 * @param vocabSize ids are below this
 * @param eosTokenIds ids that end a choice
 * @param prefixCaching whether a prompt's beginning is taken from those before it
 * @param stallTimeout how long a client may leave a full queue unread before its request is ended
 */
public record EngineConfig(
    int maxModelLen,
    int maxNumSeqs,
    int maxNumBatchedTokens,
    int maxWaiting,
    int vocabSize,
    Set<Integer> eosTokenIds,
    boolean prefixCaching,
    Duration stallTimeout) {
  /** Time enough for any client that still reads. */
  public static final Duration DEFAULT_STALL_TIMEOUT = Duration.ofSeconds(60);

  /** With a prefix cache and a stall timeout of a minute. */
  public EngineConfig(
      int maxModelLen,
      int maxNumSeqs,
      int maxNumBatchedTokens,
      int maxWaiting,
      int vocabSize,
      Set<Integer> eosTokenIds) {
    this(
        maxModelLen,
        maxNumSeqs,
        maxNumBatchedTokens,
        maxWaiting,
        vocabSize,
        eosTokenIds,
        true,
        DEFAULT_STALL_TIMEOUT);
  }

  public EngineConfig {
    eosTokenIds = Set.copyOf(eosTokenIds);
    if (maxModelLen < 2) {
      throw new IllegalArgumentException(
          "max-model-len: " + maxModelLen + ", at least 2 is needed");
    }
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
}

package io.tercel.server.engine;

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
 */
public record EngineConfig(
    int maxModelLen,
    int maxNumSeqs,
    int maxNumBatchedTokens,
    int maxWaiting,
    int vocabSize,
    Set<Integer> eosTokenIds) {

  public EngineConfig {
    eosTokenIds = Set.copyOf(eosTokenIds);
    if (maxModelLen < 2) {
      throw new IllegalArgumentException(
          "max-model-len: " + maxModelLen + ", at least 2 is needed");
    }
    if (maxNumSeqs < 1) {
      throw new IllegalArgumentException("max-num-seqs: " + maxNumSeqs + ", at least 1 is needed");
    }
    if (maxNumBatchedTokens < maxNumSeqs) {
      throw new IllegalArgumentException(
          "max-num-batched-tokens: %d is below max-num-seqs: %d; every running sequence needs one"
              .formatted(maxNumBatchedTokens, maxNumSeqs));
    }
  }
}

package io.tercel.kernels.ops;

import java.util.List;

/**
 * What a backend says of one {@link SamplingRow}. If any of the row's logits is NaN or infinite, or
 * all are minus infinity, there is no distribution to draw from: the log-prob is NaN then, in every
 * backend, and the id says nothing.
 *
 * @param tokenId the id drawn, or the target that was scored
 * @param logprob its natural log-probability under the raw logits, or, where the row asks for it,
 *     in what it was drawn from
 * @param rank 1 for the likeliest id, counted with ties in its favour; 0 unless log-probs or a
 *     score were asked for
 * @param top the likeliest ids asked for, likeliest first
 */
public record TokenResult(int tokenId, float logprob, int rank, List<TokenLogprob> top) {

  /** The answer to a row whose logits are no numbers. */
  static TokenResult broken(SamplingRow row) {
    return new TokenResult(row.samples() ? 0 : row.target(), Float.NaN, 0, List.of());
  }

  /** Whether the model computed NaN or infinity, so that this is no answer. */
  public boolean isBroken() {
    return Float.isNaN(logprob);
  }

  /** An id and its log-probability. */
  public record TokenLogprob(int tokenId, float logprob) {}
}

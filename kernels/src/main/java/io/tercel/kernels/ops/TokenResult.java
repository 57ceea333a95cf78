package io.tercel.kernels.ops;

import java.util.List;

/**
 * What a backend says of one {@link SamplingRow}.
 *
 * @param tokenId the id drawn, or the target that was scored
 * @param logprob its natural log-probability under the raw logits
 * @param rank 1 for the likeliest id, counted with ties in its favour; 0 unless log-probs or a
 *     score were asked for
 * @param top the likeliest ids asked for, likeliest first
 */
public record TokenResult(int tokenId, float logprob, int rank, List<TokenLogprob> top) {

  /** An id and its log-probability. */
  public record TokenLogprob(int tokenId, float logprob) {}
}

package io.tercel.kernels.ops;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What is wanted of one row's logits: a sampled token, or the log-probability of a given one.
 *
 * <p>Log-probabilities are always those of the raw logits (temperature 1, before penalties and
 * filters): what a trainer needs, and what vLLM reports by default.
 *
 * @param row flat row in the {@link StepBatch}
 * @param target the id whose log-probability and rank are wanted, or -1 to sample
 * @param temperature 0 is greedy (lowest id among equals)
 * @param topP nucleus mass in (0, 1]
 * @param topK most likely ids kept; 0 keeps all
 * @param minP ids below minP x the largest probability are dropped
 * @param seed with {@code choice} and {@code position}, all that the noise depends on
 * @param choice index among the n samples of a request
 * @param position number of tokens before the one drawn
 * @param penalties null when there are none
 * @param logitBias added to raw logits before all else but log-probs; null when there is none
 * @param forbidden ids that may not be drawn (end tokens before min_tokens); null when there are
 *     none
 * @param allowed the only ids that may be drawn, a bit each: {@code id % 64} of word {@code id /
 *     64}, no id beyond the last word; null for all. It wins over bias; one id at least is allowed
 *     and not forbidden. Not to be changed
 * @param numLogprobs how many of the likeliest ids to report, 0 for none
 */
@SuppressWarnings(
    "ArrayRecordComponent") // a mask is as large as the vocabulary; rows are never compared
public record SamplingRow(
    int row,
    int target,
    float temperature,
    float topP,
    int topK,
    float minP,
    long seed,
    int choice,
    int position,
    @Nullable Penalties penalties,
    @Nullable Map<Integer, Float> logitBias,
    @Nullable Set<Integer> forbidden,
    long @Nullable [] allowed,
    int numLogprobs) {

  /** A row that is scored, not sampled. */
  public static SamplingRow score(int row, int target, int numLogprobs) {
    return new SamplingRow(row, target, 0, 1, 0, 0, 0, 0, 0, null, null, null, null, numLogprobs);
  }

  public boolean samples() {
    return target < 0;
  }
}

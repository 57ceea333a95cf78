package io.tercel.trainer.grpo;

/**
 * GRPO's objective of one token, with its slope in the token's log-probability.
 *
 * <p>With r = exp(log p - log p_old) and an advantage A, the loss is -min(r A, clamp(r, 1 - low, 1
 * + high) A), so that nothing is gained by moving further than the clip. KL to a reference, where
 * it counts, is exp(d) - d - 1 with d = log p_ref - log p, which is never negative.
 *
 * @param clipLow how far a ratio may fall
 * @param clipHigh how far it may rise; above clipLow in DAPO
 * @param klWeight of the KL term; 0 leaves it out
 */
record PolicyObjective(double clipLow, double clipHigh, double klWeight) {
  /**
   * What a token adds to the loss.
   *
   * @param loss at weight 1
   * @param slope d loss / d log p
   * @param clipped whether the clip has cut its slope off
   */
  record Term(double loss, double slope, boolean clipped) {}

  /**
   * Of a token whose ratio is its own.
   *
   * @param reference log p of the reference; not read where KL doesn't count
   */
  Term token(double logProb, double old, double advantage, double reference) {
    double ratio = Math.exp(logProb - old);
    double clamped = Math.clamp(ratio, 1 - clipLow, 1 + clipHigh);
    double free = ratio * advantage;
    double held = clamped * advantage;
    boolean clipped = held < free;
    double loss = -Math.min(free, held);
    double slope = clipped ? 0 : -free;
    if (klWeight != 0) {
      double d = reference - logProb;
      loss += klWeight * (Math.exp(d) - d - 1);
      slope += klWeight * (1 - Math.exp(d));
    }
    return new Term(loss, slope, clipped);
  }

  /**
   * Of each token of an answer whose tokens share one ratio, exp(mean(log p - log p_old)), as GSPO
   * has it; the answer's loss and slopes are spread over its tokens, so that their sum is that of
   * one token of weight {@code tokens}.
   *
   * @param meanDifference mean of log p - log p_old over the answer
   */
  Term sequence(double meanDifference, double advantage) {
    return token(meanDifference, 0, advantage, meanDifference);
  }
}

package io.tercel.trainer.grpo;

import io.tercel.trainer.rollout.Rollout;

/** How good an answer is. */
@FunctionalInterface
public interface Reward {
  /**
   * Rewards one answer.
   *
   * @param text the answer, special tokens left out
   */
  double of(Rollout rollout, String text);
}

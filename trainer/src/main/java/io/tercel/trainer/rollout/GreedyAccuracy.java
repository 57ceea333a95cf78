package io.tercel.trainer.rollout;

import io.tercel.server.engine.Engine;
import io.tercel.server.engine.StaleKv;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.eval.AnswerChecker;
import io.tercel.trainer.rollout.Rollouts.Sampling;
import java.util.List;

/**
 * How many prompts the served student answers rightly, greedily.
 *
 * @param accuracy share of right answers
 * @param meanLength tokens of an answer
 * @param cutShare share of answers that came to the bound of their length
 */
public record GreedyAccuracy(double accuracy, double meanLength, double cutShare) {
  /** Asks all prompts. */
  public static GreedyAccuracy of(
      Engine engine, Tokenizer tokenizer, List<Prompt> prompts, int maxTokens) {
    int right = 0;
    int cut = 0;
    long tokens = 0;
    try (Rollouts rollouts = new Rollouts(engine, Sampling.greedy(maxTokens))) {
      for (List<Rollout> group : rollouts.groups(prompts, 1, 0, StaleKv.DROP)) {
        Rollout rollout = group.getFirst();
        String text = tokenizer.decode(rollout.tokens(), true);
        right += AnswerChecker.EVALUATION.check(text, rollout.prompt().answer()).correct() ? 1 : 0;
        tokens += rollout.tokens().length;
        cut += rollout.ended() ? 0 : 1;
      }
    }
    double count = prompts.size();
    return new GreedyAccuracy(right / count, tokens / count, cut / count);
  }
}

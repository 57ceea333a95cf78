package io.tercel.trainer.grpo;

import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.rollout.Rollout;

/**
 * An answer with what it is to teach.
 *
 * @param advantage 0 teaches nothing
 */
record Sample(Rollout rollout, double reward, double advantage) {
  /** Prompt and answer; the answer's drawn tokens are asked, those that were put there are not. */
  Example example() {
    int before = rollout.prompt().tokens().length;
    int[] answer = rollout.tokens();
    int[] tokens = java.util.Arrays.copyOf(rollout.prompt().tokens(), before + answer.length);
    System.arraycopy(answer, 0, tokens, before, answer.length);
    float[] weights = new float[tokens.length];
    for (int i = 0; i < answer.length; i++) {
      weights[before + i] = rollout.forced()[i] ? 0 : 1;
    }
    return new Example(tokens, weights);
  }

  /** Tokens that were drawn. */
  int drawn() {
    int count = 0;
    for (boolean forced : rollout.forced()) {
      count += forced ? 0 : 1;
    }
    return count;
  }

  /** The engine's log-probabilities of the drawn tokens. */
  double[] drawnLogProbs() {
    double[] logProbs = new double[drawn()];
    int at = 0;
    for (int i = 0; i < rollout.tokens().length; i++) {
      if (!rollout.forced()[i]) {
        logProbs[at++] = rollout.logProbs()[i];
      }
    }
    return logProbs;
  }
}

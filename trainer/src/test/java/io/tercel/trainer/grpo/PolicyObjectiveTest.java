package io.tercel.trainer.grpo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.trainer.grpo.PolicyObjective.Term;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class PolicyObjectiveTest {
  private static final PolicyObjective PLAIN = new PolicyObjective(0.2, 0.2, 0);

  @Test
  void clip_goldenValues() {
    double a = 0.7;
    Term up = PLAIN.token(Math.log(1.5), 0, a, 0);
    assertEquals(-1.2 * a, up.loss(), 1e-12);
    assertEquals(0, up.slope());
    assertTrue(up.clipped());
    Term down = PLAIN.token(Math.log(0.5), 0, -a, 0);
    assertEquals(0.8 * a, down.loss(), 1e-12);
    assertEquals(0, down.slope());
    // a fall of what is good, and a rise of what is bad, are never clipped
    assertEquals(-0.5 * a, PLAIN.token(Math.log(0.5), 0, a, 0).slope(), 1e-12);
    assertEquals(1.5 * a, PLAIN.token(Math.log(1.5), 0, -a, 0).loss(), 1e-12);
    Term on = PLAIN.token(-3, -3, a, 0);
    assertEquals(-a, on.loss(), 1e-12);
    assertEquals(-a, on.slope(), 1e-12);
  }

  /** Against the objective written another way, and its slope by differences. */
  @Test
  void token_randomRatiosAndClips_agreesWithItsDefinition() {
    Random random = new Random(4);
    for (int i = 0; i < 2_000; i++) {
      double low = 0.05 + 0.4 * random.nextDouble();
      double high = 0.05 + 0.6 * random.nextDouble();
      double kl = i % 3 == 0 ? random.nextDouble() : 0;
      PolicyObjective objective = new PolicyObjective(low, high, kl);
      double logProb = -2 * random.nextDouble();
      double old = logProb + 0.6 * random.nextGaussian();
      double advantage = 2 * random.nextGaussian();
      double reference = logProb + 0.5 * random.nextGaussian();
      Term term = objective.token(logProb, old, advantage, reference);
      assertEquals(defined(logProb, old, advantage, reference, low, high, kl), term.loss(), 1e-12);
      double ratio = Math.exp(logProb - old);
      double edge = Math.min(Math.abs(ratio - 1 + low), Math.abs(ratio - 1 - high));
      if (edge > 1e-3) {
        double above = defined(logProb + 1e-6, old, advantage, reference, low, high, kl);
        double below = defined(logProb - 1e-6, old, advantage, reference, low, high, kl);
        assertEquals((above - below) / 2e-6, term.slope(), 1e-6);
      }
    }
  }

  private static double defined(
      double logProb,
      double old,
      double advantage,
      double reference,
      double low,
      double high,
      double kl) {
    double ratio = Math.exp(logProb) / Math.exp(old);
    double surrogate;
    if (advantage >= 0) {
      surrogate = Math.min(ratio, 1 + high) * advantage;
    } else {
      surrogate = Math.max(ratio, 1 - low) * advantage;
    }
    double inverse = Math.exp(reference) / Math.exp(logProb);
    return -surrogate + kl * (inverse - Math.log(inverse) - 1);
  }

  /** One ratio for an answer: the sum of its tokens' slopes is that of the mean difference. */
  @Test
  void sequence_isATokenOfTheMeanDifference() {
    PolicyObjective objective = new PolicyObjective(0.2, 0.3, 0);
    double[] differences = {0.1, -0.05, 0.2};
    double mean = (0.1 - 0.05 + 0.2) / 3;
    Term term = objective.sequence(mean, 1.5);
    assertEquals(-Math.exp(mean) * 1.5, term.loss(), 1e-12);
    // moving one token's log p by h moves the mean by h / 3
    double h = 1e-6;
    double moved = objective.sequence(mean + h / differences.length, 1.5).loss();
    assertEquals((moved - term.loss()) / h, term.slope() / differences.length, 1e-5);
    assertTrue(objective.sequence(0.5, 1).clipped());
  }
}

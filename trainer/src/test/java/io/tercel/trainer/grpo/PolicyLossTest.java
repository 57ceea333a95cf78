package io.tercel.trainer.grpo;

import static org.junit.jupiter.api.Assertions.assertEquals;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.tercel.trainer.grpo.PolicyLoss.Rows;
import io.tercel.trainer.qat.RowLoss.RowGradient;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.torch.Torch;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The gradient in the logits, by differences of a loss in doubles that shares no code with it. */
final class PolicyLossTest {
  private static final int VOCAB = 6;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void gradient_agreesWithDifferences(long seed) {
    Random random = new Random(seed);
    TokenBatch batch =
        TokenBatch.of(
            List.of(
                new Example(new int[] {1, 2, 0, 5}, new float[] {0, 1, 1, 1}),
                new Example(new int[] {3, 4, 4}, new float[] {0, 0, 1})));
    int rows = batch.rows().length;
    float[] logits = new float[rows * VOCAB];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) random.nextGaussian();
    }
    double[] logProbs = new double[rows];
    for (int r = 0; r < rows; r++) {
      logProbs[r] = logProb(logits, r, batch.targets()[r], 0, 0);
    }
    double[] old = new double[rows];
    double[] advantages = new double[rows];
    double[] weights = new double[rows];
    double[] reference = new double[rows];
    for (int r = 0; r < rows; r++) {
      old[r] = logProbs[r] + 0.4 * random.nextGaussian();
      advantages[r] = random.nextGaussian();
      weights[r] = random.nextDouble();
      reference[r] = logProbs[r] + 0.3 * random.nextGaussian();
    }
    double kl = seed % 2 == 0 ? 0.3 : 0;
    Rows given =
        new Rows(old, old, advantages, weights, kl == 0 ? new double[0] : reference, new double[0]);
    PolicyLoss loss = new PolicyLoss(new PolicyObjective(0.2, 0.3, kl), given, new PolicyFigures());
    try (NDManager manager = Torch.newManager()) {
      RowGradient of = loss.at(manager.create(logits, new Shape(rows, VOCAB)), 0, batch);
      float[] gradient = of.logits().toFloatArray();
      double expected = 0;
      for (int r = 0; r < rows; r++) {
        expected += weights[r] * loss(logProbs[r], old[r], advantages[r], reference[r], kl);
        for (int v = 0; v < VOCAB; v++) {
          double[] sides = new double[2];
          for (int side = 0; side < 2; side++) {
            double p = logProb(logits, r, batch.targets()[r], v, side == 0 ? 1e-5 : -1e-5);
            sides[side] = weights[r] * loss(p, old[r], advantages[r], reference[r], kl);
          }
          assertEquals((sides[0] - sides[1]) / 2e-5, gradient[r * VOCAB + v], 2e-6);
        }
      }
      assertEquals(expected, of.loss(), 1e-6);
    }
  }

  private static double logProb(float[] logits, int row, int target, int moved, double by) {
    double sum = 0;
    for (int v = 0; v < VOCAB; v++) {
      sum += Math.exp(logits[row * VOCAB + v] + (v == moved ? by : 0));
    }
    return logits[row * VOCAB + target] + (target == moved ? by : 0) - Math.log(sum);
  }

  private static double loss(double p, double old, double advantage, double reference, double kl) {
    double ratio = Math.exp(p - old);
    double best = advantage > 0 ? Math.min(ratio, 1.3) : Math.max(ratio, 0.8);
    return -best * advantage + kl * (Math.exp(reference - p) - (reference - p) - 1);
  }
}

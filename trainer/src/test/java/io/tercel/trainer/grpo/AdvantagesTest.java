package io.tercel.trainer.grpo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

final class AdvantagesTest {
  @Test
  void std_dividesByTheSamplesDeviation() {
    double[] one = Advantages.STD.of(new double[] {1, 0, 0, 0, 0, 0, 0, 0});
    double o = -0.353453;
    assertArrayEquals(new double[] {2.474174, o, o, o, o, o, o, o}, one, 1e-6);
    double h = 0.5 / (Math.sqrt(1.0 / 3) + 1e-4);
    assertArrayEquals(
        new double[] {h, h, -h, -h}, Advantages.STD.of(new double[] {1, 1, 0, 0}), 1e-12);
  }

  @Test
  void mean_onlyCenters() {
    assertArrayEquals(
        new double[] {0.75, -0.25, -0.25, -0.25}, Advantages.MEAN.of(new double[] {1, 0, 0, 0}));
  }

  /** Exactly 0: a mean of equal numbers may miss them by a bit. */
  @Test
  void equalRewards_teachNothing() {
    double[] equal = {0.1, 0.1, 0.1};
    assertArrayEquals(new double[3], Advantages.STD.of(equal));
    assertArrayEquals(new double[3], Advantages.MEAN.of(equal));
  }
}

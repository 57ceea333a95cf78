package io.tercel.loadtests.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class BootstrapTest {
  private static final int RUNS = 300;

  @Test
  void sample_percentilesAreOfNearestRank() {
    Sample sample = Sample.of(List.of(new double[] {5}, new double[] {1, 3}, new double[0]));
    assertEquals(3, sample.percentile(50, sample.once()));
    assertEquals(5, sample.percentile(99, sample.once()));
    assertEquals(1, sample.percentile(1, sample.once()));
    assertEquals(3, sample.mean(sample.once()));
    // the first three times, the second not at all
    assertEquals(5, sample.percentile(1, new int[] {3, 0, 4}));
    assertEquals(5, sample.mean(new int[] {3, 0, 4}));
    // 5, 1, 1, 3, 3: a unit's values count together
    assertEquals(3, sample.percentile(60, new int[] {1, 2, 0}));
  }

  /** A run whose requests are slow together: x follows its neighbour by that share. */
  private static Sample run(SplittableRandom random, double likeBefore, double scale) {
    List<double[]> units = new ArrayList<>();
    double x = random.nextGaussian();
    for (int i = 0; i < 300; i++) {
      x = likeBefore * x + Math.sqrt(1 - likeBefore * likeBefore) * random.nextGaussian();
      units.add(new double[] {scale * (10 + x)});
    }
    return Sample.of(units);
  }

  private static int covered(double likeBefore, double truth) {
    SplittableRandom random = new SplittableRandom(7);
    Bootstrap bootstrap = new Bootstrap(300, 0.95);
    int covered = 0;
    for (int i = 0; i < RUNS; i++) {
      Sample a = run(random, likeBefore, 1);
      Sample b = run(random, likeBefore, truth);
      covered += bootstrap.ratio(a, b, Sample::mean).contains(truth) ? 1 : 0;
    }
    return covered;
  }

  /** 95 % intervals have what is true in 95 of 100; four deviations are 5 %. */
  @Test
  void intervals_coverWhatIsTrue() {
    for (double truth : new double[] {1, 1.2}) {
      double share = covered(0, truth) / (double) RUNS;
      assertTrue(share > 0.89 && share <= 0.99, () -> "covered " + share);
    }
  }

  /** Drawn one by one they would have it in 65 of 100: neighbours are alike here. */
  @Test
  void intervals_knowThatNeighboursAreAlike() {
    double share = covered(0.6, 1) / (double) RUNS;
    assertTrue(share > 0.84, () -> "covered " + share);
  }

  /** Half of the tokens come together with the one before: their median is 0 in both. */
  @Test
  void zeros_areNoDifference() {
    List<double[]> units = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      units.add(new double[] {0, 0, 0, i});
    }
    Sample sample = Sample.of(units);
    Bootstrap.Interval interval =
        new Bootstrap(200, 0.95).ratio(sample, sample, (s, w) -> s.percentile(50, w));
    assertEquals(new Bootstrap.Interval(1, 1), interval);
  }

  @Test
  void sameRuns_giveTheSameInterval() {
    Sample a = run(new SplittableRandom(1), 0, 1);
    Sample b = run(new SplittableRandom(2), 0, 1);
    Bootstrap bootstrap = new Bootstrap(300, 0.95);
    assertEquals(bootstrap.ratio(a, b, Sample::mean), bootstrap.ratio(a, b, Sample::mean));
  }
}

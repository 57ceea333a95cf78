package io.tercel.loadtests.traffic;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ArrivalsTest {
  private static final double INF = Double.POSITIVE_INFINITY;
  private static final int COUNT = 40_000;

  private static double[] gaps(long[] arrivals) {
    double[] gaps = new double[arrivals.length];
    for (int i = 0; i < gaps.length; i++) {
      gaps[i] = (arrivals[i] - (i == 0 ? 0 : arrivals[i - 1])) / 1e9;
    }
    return gaps;
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElseThrow();
  }

  private static double variation(double[] values) {
    double mean = mean(values);
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return Math.sqrt(squares / values.length) / mean;
  }

  /** Gamma gaps of shape k vary by 1/√k; by the draw's size, 3 % is over four deviations. */
  @ParameterizedTest
  @ValueSource(doubles = {0.25, 0.5, 1, 2, 9})
  void gaps_haveTheRateAndTheBurstiness(double burstiness) {
    double[] gaps = gaps(Arrivals.forDuration(4000 * 1_000_000_000L, 10, burstiness, 1));
    assertEquals(COUNT, gaps.length, 0.05 * COUNT);
    assertEquals(0.1, mean(gaps), 0.03 * 0.1);
    double variation = 1 / Math.sqrt(burstiness);
    assertEquals(variation, variation(gaps), 0.04 * variation);
  }

  /** The quartiles of the exponential distribution, which its mean and deviation don't fix. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void poisson_isExponential(long seed) {
    double[] gaps = gaps(Arrivals.forCount(COUNT, 1, 1, seed));
    Arrays.sort(gaps);
    assertEquals(-Math.log(0.75), gaps[COUNT / 4], 0.02);
    assertEquals(-Math.log(0.5), gaps[COUNT / 2], 0.03);
    assertEquals(-Math.log(0.25), gaps[3 * COUNT / 4], 0.06);
  }

  /** Shape 2 is the sum of two exponentials: P(gap < 1/2 of the mean) = 1 - 2/e. */
  @Test
  void gammaOfTwo_isErlang() {
    double[] gaps = gaps(Arrivals.forCount(COUNT, 1, 2, 5));
    double below = Arrays.stream(gaps).filter(gap -> gap < 0.5).count() / (double) COUNT;
    assertEquals(1 - 2 / Math.E, below, 0.01);
  }

  @Test
  void count_comesInExactlyItsTime() {
    long[] arrivals = Arrivals.forCount(500, 50, 0.5, 3);
    assertEquals(10_000_000_000L, arrivals[499]);
    for (int i = 1; i < arrivals.length; i++) {
      assertTrue(arrivals[i] >= arrivals[i - 1]);
    }
  }

  /** vLLM's: the rate of request i of n is that of i / (n - 1). */
  @Test
  void rampByCount_followsItsRate() {
    Pace.Ramp linear = new Pace.Ramp(false, 1, 4, INF);
    // gaps of 1/1, 1/2, 1/3 and 1/4 s
    assertArrayEquals(
        new long[] {1_000_000_000L, 1_500_000_000L, 1_833_333_333L, 2_083_333_333L},
        Arrivals.rampForCount(4, linear, 0));
    Pace.Ramp exponential = new Pace.Ramp(true, 1, 4, INF);
    // 1, 2 and 4 a second
    assertArrayEquals(
        new long[] {1_000_000_000L, 1_500_000_000L, 1_750_000_000L},
        Arrivals.rampForCount(3, exponential, 0));
    assertArrayEquals(new long[] {1_000_000_000L}, Arrivals.rampForCount(1, linear, 0));
  }

  /** Arrivals of each tenth are as many as the rate in its middle says; 6 deviations. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void rampByDuration_followsItsRate(boolean exponential) {
    Pace.Ramp ramp = new Pace.Ramp(exponential, 10, 100, 1);
    long[] arrivals = Arrivals.rampForDuration(1000 * 1_000_000_000L, ramp, 3);
    for (int tenth = 0; tenth < 10; tenth++) {
      long from = tenth * 100_000_000_000L;
      long count =
          Arrays.stream(arrivals).filter(t -> t >= from && t < from + 100_000_000_000L).count();
      double expected = 100 * ramp.rate((tenth + 0.5) / 10);
      assertEquals(expected, count, 0.01 * expected + 6 * Math.sqrt(expected));
    }
  }

  @Test
  void sameSeed_givesTheSame() {
    assertArrayEquals(Arrivals.forCount(100, 5, 0.5, 3), Arrivals.forCount(100, 5, 0.5, 3));
    assertFalse(
        Arrays.equals(Arrivals.forCount(100, 5, 0.5, 3), Arrivals.forCount(100, 5, 0.5, 4)));
  }

  @Test
  void infinity_isEvenOrAtOnce() {
    assertArrayEquals(
        new long[] {500_000_000L, 1_000_000_000L, 1_500_000_000L}, Arrivals.forCount(3, 2, INF, 0));
    assertArrayEquals(
        new long[] {500_000_000L, 1_000_000_000L}, Arrivals.forDuration(1_500_000_000L, 2, INF, 0));
    assertArrayEquals(new long[3], Arrivals.forCount(3, INF, 1, 0));
  }
}

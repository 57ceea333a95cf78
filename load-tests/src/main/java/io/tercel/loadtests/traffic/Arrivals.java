package io.tercel.loadtests.traffic;

import io.tercel.loadtests.data.Seeds;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.LongStream;

/**
 * When requests of an open loop are to be sent: the sums of independent gaps from a gamma
 * distribution of mean 1/rate, whose shape is the burstiness. 1 is a Poisson process, less is more
 * bursty (the gaps' coefficient of variation is 1/√shape), infinity is a metronome. As {@code vllm
 * bench serve}. Nanoseconds from the run's start, rising.
 */
public final class Arrivals {
  private static final double NANOS_PER_SECOND = 1e9;

  private Arrivals() {}

  /**
   * A number of arrivals, stretched so that the last comes at count / rate: the draw must not make
   * one seed's run 2 % faster than another's.
   *
   * @param rate requests a second; infinity sends all at once
   */
  public static long[] forCount(int count, double rate, double burstiness, long seed) {
    double[] times = new double[count];
    if (Double.isInfinite(rate)) {
      return new long[count];
    }
    SplittableRandom random = Seeds.stream(seed, "arrivals", 0);
    double now = 0;
    for (int i = 0; i < count; i++) {
      now += gap(random, burstiness);
      times[i] = now;
    }
    double stretch = count / now / rate;
    return Arrays.stream(times)
        .mapToLong(t -> Math.round(t * stretch * NANOS_PER_SECOND))
        .toArray();
  }

  /** All arrivals before a time. */
  public static long[] forDuration(long nanos, double rate, double burstiness, long seed) {
    SplittableRandom random = Seeds.stream(seed, "arrivals", 0);
    long[] times = new long[(int) Math.max(16, nanos / NANOS_PER_SECOND * rate)];
    int count = 0;
    double now = 0;
    while (true) {
      now += gap(random, burstiness) / rate;
      long time = Math.round(now * NANOS_PER_SECOND);
      if (time >= nanos) {
        return Arrays.copyOf(times, count);
      }
      if (count == times.length) {
        times = Arrays.copyOf(times, 2 * count);
      }
      times[count++] = time;
    }
  }

  /** A number of arrivals whose rate follows a ramp, request by request, as vLLM has it. */
  static long[] rampForCount(int count, Pace.Ramp ramp, long seed) {
    SplittableRandom random = Seeds.stream(seed, "arrivals", 0);
    long[] times = new long[count];
    double now = 0;
    for (int i = 0; i < count; i++) {
      double progress = count == 1 ? 0 : (double) i / (count - 1);
      now += gap(random, ramp.burstiness()) / ramp.rate(progress);
      times[i] = Math.round(now * NANOS_PER_SECOND);
    }
    return times;
  }

  /** All arrivals before a time, while the rate follows a ramp over it. */
  static long[] rampForDuration(long nanos, Pace.Ramp ramp, long seed) {
    SplittableRandom random = Seeds.stream(seed, "arrivals", 0);
    LongStream.Builder times = LongStream.builder();
    double now = 0;
    while (true) {
      double progress = Math.min(1, now * NANOS_PER_SECOND / nanos);
      now += gap(random, ramp.burstiness()) / ramp.rate(progress);
      long time = Math.round(now * NANOS_PER_SECOND);
      if (time >= nanos) {
        return times.build().toArray();
      }
      times.add(time);
    }
  }

  /** A gap of mean 1. */
  private static double gap(SplittableRandom random, double shape) {
    if (Double.isInfinite(shape)) {
      return 1;
    }
    return shape == 1 ? random.nextExponential() : gamma(random, shape) / shape;
  }

  /** A gamma variate of scale 1 (Marsaglia and Tsang, 2000). */
  private static double gamma(SplittableRandom random, double shape) {
    if (shape < 1) {
      double u = 1 - random.nextDouble(); // never 0
      return gamma(random, shape + 1) * Math.pow(u, 1 / shape);
    }
    double d = shape - 1.0 / 3;
    double c = 1 / Math.sqrt(9 * d);
    while (true) {
      double x = random.nextGaussian();
      double v = 1 + c * x;
      if (v > 0) {
        v = v * v * v;
        double u = 1 - random.nextDouble();
        if (Math.log(u) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
          return d * v;
        }
      }
    }
  }
}

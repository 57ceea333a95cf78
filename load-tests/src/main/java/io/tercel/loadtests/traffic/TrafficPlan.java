package io.tercel.loadtests.traffic;

import java.util.Arrays;

/**
 * How much load, and how long.
 *
 * @param numPrompts requests to send; 0 if the duration decides
 * @param durationNanos how long requests are sent; 0 if their number decides
 * @param pace when they are due
 * @param maxConcurrency requests under way at most; 0 for any number
 * @param firstIndex where in the dataset to begin
 */
public record TrafficPlan(
    int numPrompts, long durationNanos, Pace pace, int maxConcurrency, long firstIndex, long seed) {

  /** At one rate; infinity for a closed loop, or all at once. */
  public TrafficPlan(
      int numPrompts,
      long durationNanos,
      double requestRate,
      double burstiness,
      int maxConcurrency,
      long firstIndex,
      long seed) {
    this(
        numPrompts,
        durationNanos,
        Pace.of(requestRate, burstiness),
        maxConcurrency,
        firstIndex,
        seed);
  }

  /** A closed loop: each client sends its next request when the last one has ended. */
  boolean closed() {
    return pace instanceof Pace.Unpaced && maxConcurrency > 0;
  }

  /** Clients of a closed loop. */
  int clients() {
    return numPrompts > 0 ? Math.min(numPrompts, maxConcurrency) : maxConcurrency;
  }

  /**
   * Whether a closed loop that began then sends that request now.
   *
   * @param n its number, from 0
   */
  boolean wants(long n, long start) {
    return numPrompts > 0 ? n < numPrompts : System.nanoTime() - start < durationNanos;
  }

  /** That time, or the end of what began then, if the duration decides and it is earlier. */
  long notAfterEnd(long nanoTime, long start) {
    return numPrompts > 0 ? nanoTime : Math.min(nanoTime, start + durationNanos);
  }

  /** When requests are due, in nanoseconds from the start, rising; for open loops. */
  long[] arrivals() {
    return switch (pace) {
      case Pace.Unpaced _ -> new long[numPrompts];
      case Pace.Steady steady ->
          numPrompts > 0
              ? Arrivals.forCount(numPrompts, steady.perSecond(), steady.burstiness(), seed)
              : Arrivals.forDuration(durationNanos, steady.perSecond(), steady.burstiness(), seed);
      case Pace.Ramp ramp ->
          numPrompts > 0
              ? Arrivals.rampForCount(numPrompts, ramp, seed)
              : Arrivals.rampForDuration(durationNanos, ramp, seed);
      case Pace.Recorded recorded -> Arrays.copyOf(recorded.nanos(), numPrompts);
    };
  }
}

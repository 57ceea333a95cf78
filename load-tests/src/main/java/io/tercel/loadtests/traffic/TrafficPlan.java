package io.tercel.loadtests.traffic;

/**
 * How much load, and how long.
 *
 * @param numPrompts requests to send; 0 if the duration decides
 * @param durationNanos how long requests are sent; 0 if their number decides
 * @param requestRate arrivals a second (open loop); infinity for none (closed loop, or all at once)
 * @param burstiness shape of the arrivals' gaps, see {@link Arrivals}
 * @param maxConcurrency requests under way at most; 0 for any number
 * @param firstIndex where in the dataset to begin
 */
public record TrafficPlan(
    int numPrompts,
    long durationNanos,
    double requestRate,
    double burstiness,
    int maxConcurrency,
    long firstIndex,
    long seed) {

  /** A closed loop: each client sends its next request when the last one has ended. */
  boolean closed() {
    return Double.isInfinite(requestRate) && maxConcurrency > 0;
  }
}

package io.tercel.loadtests.traffic;

import io.tercel.loadtests.metrics.Failure;
import java.util.concurrent.locks.LockSupport;

/** Waiting, to the nanosecond as far as the system goes. */
final class Pause {
  private static final double REST_SECONDS = 0.1;
  private static final long MAX_REST_NANOS = 60_000_000_000L;

  private Pause() {}

  /** Until that reading of {@link System#nanoTime}. */
  static void until(long nanoTime) throws InterruptedException {
    for (long left = nanoTime - System.nanoTime(); left > 0; left = nanoTime - System.nanoTime()) {
      LockSupport.parkNanos(left);
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
    }
  }

  /** As long as a client that was turned away waits before its next request: the server says it. */
  static void after(Failure failure, TrafficPlan plan, long start) throws InterruptedException {
    long nanos = (long) (failure.retryAfter().orElse(REST_SECONDS) * 1e9);
    until(plan.notAfterEnd(System.nanoTime() + Math.min(nanos, MAX_REST_NANOS), start));
  }
}

package io.tercel.loadtests.metrics;

import java.util.List;
import java.util.Optional;

/**
 * A stretch of a run, as readings of {@link System#nanoTime}: from, inclusive, to, exclusive.
 *
 * <p>The <b>steady state</b> reaches from the first completion to the last sending: before it
 * nobody has left yet and the load still rises; after it nobody comes any more and it falls.
 */
public record Window(long from, long to) {
  /** The steady state of a run; none if its last request was sent before one was completed. */
  public static Optional<Window> steadyState(List<RequestTrace> traces) {
    long from = Long.MAX_VALUE;
    long to = Long.MIN_VALUE;
    for (RequestTrace trace : traces) {
      if (trace.ending() == RequestTrace.Ending.COMPLETED) {
        from = Math.min(from, trace.last());
      }
      to = Math.max(to, trace.sentAt());
    }
    return from < to ? Optional.of(new Window(from, to)) : Optional.empty();
  }

  public boolean contains(long nanos) {
    return nanos >= from && nanos < to;
  }

  public double seconds() {
    return (to - from) / 1e9;
  }
}

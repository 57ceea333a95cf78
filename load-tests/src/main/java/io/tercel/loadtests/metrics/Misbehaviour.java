package io.tercel.loadtests.metrics;

import java.util.List;

/**
 * What became of clients of one kind that misbehave.
 *
 * @param sent how many there were
 * @param left how many left as planned
 * @param completed how many got their whole answer after all
 * @param failed how many the server, or the connection, turned away
 * @param tokenEvents how many times tokens reached them
 */
public record Misbehaviour(long sent, long left, long completed, long failed, long tokenEvents) {
  /** Counts the clients of a kind. */
  public static Misbehaviour of(List<RequestTrace> traces, RequestTrace.Client kind) {
    long[] counts = new long[RequestTrace.Ending.values().length];
    long sent = 0;
    long tokens = 0;
    for (RequestTrace trace : traces) {
      if (trace.client() == kind) {
        sent++;
        counts[trace.ending().ordinal()]++;
        tokens += trace.tokenEvents();
      }
    }
    return new Misbehaviour(
        sent,
        counts[RequestTrace.Ending.LEFT.ordinal()],
        counts[RequestTrace.Ending.COMPLETED.ordinal()],
        counts[RequestTrace.Ending.FAILED.ordinal()],
        tokens);
  }
}

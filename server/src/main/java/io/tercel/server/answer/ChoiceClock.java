package io.tercel.server.answer;

import io.tercel.server.call.CallUsage;
import io.tercel.server.metrics.ServerMetrics;

/** Measures one choice, for the metrics and for its call's record. Not thread-safe. */
final class ChoiceClock {
  private final ServerMetrics metrics;
  private final CallUsage usage;
  private final long arrived;
  private long started;
  private long first;
  private long last;
  private boolean ended;

  /**
   * A clock that has been running since the request came.
   *
   * @param usage of the call
   * @param arrived by {@link System#nanoTime}
   */
  ChoiceClock(ServerMetrics metrics, CallUsage usage, long arrived) {
    this.metrics = metrics;
    this.usage = usage;
    this.arrived = arrived;
    this.started = arrived;
  }

  /** It left the engine's queue. */
  void started(long queuedNanos) {
    started = System.nanoTime();
    metrics.queued(queuedNanos);
    usage.started(started, queuedNanos);
  }

  void token(long weightVersion) {
    long now = System.nanoTime();
    usage.token(now, weightVersion);
    if (first == 0) {
      first = now;
      metrics.prefilled(now - started);
      metrics.firstToken(now - arrived);
    } else {
      metrics.nextToken(now - last);
    }
    last = now;
  }

  /** Only the first end counts. */
  void finished(String reason, int tokens) {
    if (!ended) {
      ended = true;
      usage.finished(reason);
      metrics.finished(reason, tokens, System.nanoTime() - arrived, last - started, last - first);
    }
  }
}

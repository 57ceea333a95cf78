package io.tercel.server.answer;

import io.tercel.server.metrics.ServerMetrics;

/** Measures one choice for the metrics. Not thread-safe. */
final class ChoiceClock {
  private final ServerMetrics metrics;
  private final long arrived;
  private long started;
  private long first;
  private long last;
  private boolean ended;

  /**
   * A clock that has been running since the request came.
   *
   * @param arrived by {@link System#nanoTime}
   */
  ChoiceClock(ServerMetrics metrics, long arrived) {
    this.metrics = metrics;
    this.arrived = arrived;
    this.started = arrived;
  }

  /** It left the engine's queue. */
  void started(long queuedNanos) {
    started = System.nanoTime();
    metrics.queued(queuedNanos);
  }

  void token() {
    long now = System.nanoTime();
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
      metrics.finished(reason, tokens, System.nanoTime() - arrived, last - started, last - first);
    }
  }
}

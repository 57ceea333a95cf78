package io.tercel.loadtests.traffic;

import io.tercel.loadtests.metrics.RequestTrace;

/** Looks on as a run goes; called by many threads. */
public interface RunListener {
  /** A request ended one way or another. */
  void ended(RequestTrace trace);
}

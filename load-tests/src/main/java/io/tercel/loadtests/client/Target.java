package io.tercel.loadtests.client;

import io.tercel.loadtests.data.LoadRequest;
import io.tercel.loadtests.metrics.RequestTrace;

/** A server under load. Safe for many threads. */
public interface Target extends AutoCloseable {
  /** A request that is ready to be sent, once. */
  interface Call {
    /**
     * Sends it and waits for its end, which the trace tells: whatever the server does is recorded
     * there, never thrown, and never tried again.
     */
    void run(RequestTrace trace) throws InterruptedException;
  }

  /** Does all that can be done before the request's time has come. */
  Call prepare(LoadRequest request, ClientBehavior behavior);

  @Override
  void close();
}

package io.tercel.loadtests.client;

import io.tercel.loadtests.metrics.RequestTrace.Client;

/** How one client behaves. */
public sealed interface ClientBehavior {
  /** As it is counted. */
  Client kind();

  /** Reads its answer as fast as it comes. */
  record Patient() implements ClientBehavior {
    @Override
    public Client kind() {
      return Client.PATIENT;
    }
  }

  /**
   * Leaves: its connection is closed in the middle of the answer, or before it.
   *
   * @param afterTokens leaves once tokens have come that many times; 0 leaves without any
   * @param delayNanos for 0: so long after sending
   */
  record Leaver(int afterTokens, long delayNanos) implements ClientBehavior {
    @Override
    public Client kind() {
      return Client.LEAVER;
    }
  }

  /**
   * Reads so many bytes a second, with a small receive buffer, so that the server has to wait for
   * it.
   */
  record SlowReader(int bytesPerSecond) implements ClientBehavior {
    @Override
    public Client kind() {
      return Client.SLOW_READER;
    }
  }
}

package io.tercel.server.hub;

import java.io.IOException;
import java.time.Duration;

/** A failure that may pass by itself: a busy hub, or a connection that broke. */
final class TransientHubException extends IOException {
  private static final long serialVersionUID = 1;

  private final transient Duration retryAfter;

  TransientHubException(String message, Duration retryAfter) {
    super(message);
    this.retryAfter = retryAfter;
  }

  /** How long the hub asks to wait; zero if it doesn't say. */
  Duration retryAfter() {
    return retryAfter;
  }
}

package io.tercel.server.client;

import java.io.IOException;

/** Why a completion failed, in one line: a refusal of the server, or a connection that broke. */
public final class ChatException extends IOException {
  private static final long serialVersionUID = 1;

  /** Of a failure that is no answer of the server. */
  public static final int NO_STATUS = 0;

  private final int status;
  private final long retryAfterSeconds;

  ChatException(String message, int status, long retryAfterSeconds) {
    super(message);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  ChatException(String message, IOException cause) {
    super(message, cause);
    this.status = NO_STATUS;
    this.retryAfterSeconds = 0;
  }

  /** The HTTP status, or {@link #NO_STATUS}. */
  public int status() {
    return status;
  }

  /** Whether the same request may succeed later. */
  public boolean passing() {
    return status == NO_STATUS || status == 408 || status == 429 || status >= 500;
  }

  /** How long the server asks to wait; 0 if it doesn't. */
  public long retryAfterSeconds() {
    return retryAfterSeconds;
  }
}

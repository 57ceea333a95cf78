package io.tercel.loadtests.client;

/** The server can't be load-tested as it is; the message says why in one line. */
public final class TargetException extends RuntimeException {
  private static final long serialVersionUID = 1;

  TargetException(String message) {
    super(message);
  }

  TargetException(String message, Throwable cause) {
    super(message, cause);
  }
}

package io.tercel.kernels.ops;

/** A backend that was asked for can't be had: its message is one line that says what is missing. */
public final class BackendUnavailableException extends RuntimeException {
  public BackendUnavailableException(String message) {
    super(message);
  }

  public BackendUnavailableException(String message, Throwable cause) {
    super(message, cause);
  }
}

package io.tercel.loadtests.compare;

/** A file that can't be compared; the message says why in one line. */
public final class ComparisonException extends RuntimeException {
  private static final long serialVersionUID = 1;

  ComparisonException(String message) {
    super(message);
  }

  ComparisonException(String message, Throwable cause) {
    super(message, cause);
  }
}

package io.tercel.loadtests.data;

/** A dataset that can't be used; the message says where and why in one line. */
public final class DatasetException extends RuntimeException {
  private static final long serialVersionUID = 1;

  DatasetException(String message) {
    super(message);
  }

  DatasetException(String message, Throwable cause) {
    super(message, cause);
  }
}

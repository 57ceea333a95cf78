package io.tercel.server.api;

/** The client closed its connection, or stopped reading for too long; nobody is left to answer. */
public final class ClientGoneException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public ClientGoneException(String message) {
    super(message, null, false, false);
  }
}

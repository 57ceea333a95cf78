package io.tercel.server.call;

/** The client closed its connection, or stopped reading for too long; nobody is left to answer. */
public final class ClientGoneException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public ClientGoneException(String message) {
    super(message, null, false, false);
  }
}

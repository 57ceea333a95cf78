package io.tercel.server.hub;

/** Why a model can't be had from the hub, in one line that says what to do. */
public final class HubException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public HubException(String message) {
    super(message);
  }

  HubException(String message, Throwable cause) {
    super(message, cause);
  }
}

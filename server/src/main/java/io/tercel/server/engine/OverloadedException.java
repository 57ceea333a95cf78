package io.tercel.server.engine;

/** The engine takes no more now: a 429 when too many wait, a 503 when it is closing or dead. */
public final class OverloadedException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private final boolean closing;

  public OverloadedException(String message, boolean closing) {
    super(message, null, false, false);
    this.closing = closing;
  }

  /** Whether trying again here is pointless. */
  public boolean closing() {
    return closing;
  }
}

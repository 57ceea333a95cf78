package io.tercel.server.call;

/** Whoever waits for an answer, and may leave before it is there. Thread-safe. */
public interface Caller {

  /** Runs the callback as soon as the client is gone, at once if it is; it must not block. */
  void whenGone(Runnable callback);

  boolean gone();

  /**
   * Whether it came with the key of whoever runs the server, which allows what would disadvantage
   * other clients, such as a priority below 0.
   */
  default boolean isAdmin() {
    return false;
  }
}

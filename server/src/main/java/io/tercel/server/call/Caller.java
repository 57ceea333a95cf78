package io.tercel.server.call;

/** Whoever waits for an answer, and may leave before it is there. Thread-safe. */
public interface Caller {

  /** Runs the callback as soon as the client is gone, at once if it is; it must not block. */
  void whenGone(Runnable callback);

  boolean gone();

  /** What is known of its call. */
  CallRecord record();

  /** Whose key it came with. */
  default KeyHolder holder() {
    return record().holder();
  }

  /** What its key allows. */
  default Rights rights() {
    return holder().rights();
  }
}

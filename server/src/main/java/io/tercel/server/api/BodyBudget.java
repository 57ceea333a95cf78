package io.tercel.server.api;

import java.util.concurrent.atomic.AtomicLong;

/** The bytes that all requests of a wire may hold together. Thread-safe. */
public final class BodyBudget {
  private final long limit;
  private final AtomicLong used = new AtomicLong();

  /**
   * Nothing is held yet.
   *
   * @param limit in bytes
   */
  public BodyBudget(long limit) {
    this.limit = limit;
  }

  /** Takes so many bytes, all or, where there are too few, none. */
  public boolean reserve(int bytes) {
    if (used.addAndGet(bytes) <= limit) {
      return true;
    }
    used.addAndGet(-bytes);
    return false;
  }

  /** Gives back what was taken. */
  public void release(long bytes) {
    used.addAndGet(-bytes);
  }

  long used() {
    return used.get();
  }
}

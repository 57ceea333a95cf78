package io.tercel.server.call;

import java.util.function.LongSupplier;

/**
 * So much a minute: it holds what one minute allows, and fills evenly. What is taken may turn out
 * to be more; then it is below nothing for a while, and nobody gets anything until that is made
 * good. Thread-safe.
 */
final class RateBucket {
  private static final double NANOS_A_MINUTE = 60e9;

  private final LongSupplier nanoTime;
  private long limit;
  private double level;
  private long last;

  /**
   * How it stands.
   *
   * @param limit a minute; 0 for none
   * @param remaining what may be taken now
   * @param fullNanos until all of it may be taken again
   */
  record State(long limit, long remaining, long fullNanos) {}

  /**
   * Full.
   *
   * @param limit a minute; 0 for none
   */
  RateBucket(long limit, LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
    this.limit = limit;
    this.level = limit;
    this.last = nanoTime.getAsLong();
  }

  /** From now on so much a minute. What was taken stays taken. */
  synchronized void limit(long perMinute) {
    fill();
    level = limit == 0 ? perMinute : Math.min(perMinute, level + Math.max(0, perMinute - limit));
    limit = perMinute;
  }

  /**
   * What is taken of it for a wish: no more than there ever is, so that the largest wish waits for
   * a full one and not forever.
   */
  synchronized long share(long amount) {
    return limit == 0 ? 0 : Math.min(amount, limit);
  }

  /**
   * Takes so much, if it is there.
   *
   * @return 0 if it was, else in how many nanoseconds it will be
   */
  synchronized long take(long amount) {
    if (limit == 0) {
      return 0;
    }
    fill();
    if (level >= amount) {
      level -= amount;
      return 0;
    }
    return (long) Math.ceil((amount - level) / limit * NANOS_A_MINUTE);
  }

  /** Gives back what was not used; below 0 it takes what was used besides. */
  synchronized void give(long amount) {
    if (limit != 0) {
      fill();
      level = Math.min(limit, level + amount);
    }
  }

  synchronized State state() {
    fill();
    long nanos = limit == 0 ? 0 : (long) Math.ceil((limit - level) / limit * NANOS_A_MINUTE);
    return new State(limit, (long) Math.max(0, Math.floor(level)), nanos);
  }

  private void fill() {
    long now = nanoTime.getAsLong();
    level = Math.min(limit, level + (now - last) / NANOS_A_MINUTE * limit);
    last = now;
  }
}

package io.tercel.server.engine;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Finds requests whose clients have left a full queue unread for too long. Looks now and then, not
 * at each step. Owned by the engine thread.
 */
final class StallWatch {
  private final Duration timeout;
  private long nextCheck = System.nanoTime();

  StallWatch(Duration timeout) {
    this.timeout = timeout;
  }

  /** Nanoseconds between two looks. */
  long checkNanos() {
    return Math.min(TimeUnit.SECONDS.toNanos(1), timeout.toNanos() / 8 + 1);
  }

  /** Whether it is time to look again. */
  boolean isDue() {
    return System.nanoTime() - nextCheck >= 0;
  }

  /** The requests, of those of these sequences, whose time is over. */
  Set<QueuedGeneration> expired(List<Sequence> sequences) {
    long now = System.nanoTime();
    nextCheck = now + checkNanos();
    Set<QueuedGeneration> expired = new HashSet<>();
    for (Sequence s : sequences) {
      s.lookAtClient(); // while the engine is paused, no schedule does
      if (s.stalled() && now - s.generation().lastRead() > timeout.toNanos()) {
        expired.add(s.generation());
      }
    }
    return expired;
  }

  /** What such a request fails with. */
  String message() {
    return "the client has read nothing for %s s, with %d tokens or more unread"
        .formatted(timeout.toMillis() / 1000.0, QueuedGeneration.RESUME);
  }
}

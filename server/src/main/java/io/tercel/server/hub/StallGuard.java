package io.tercel.server.hub;

import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;

/**
 * Closes a body whose reader has waited too long for the next byte, since the HTTP client's own
 * timeout ends with the headers. The reader then sees an {@link IOException}, as of a connection
 * that broke.
 */
final class StallGuard implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private final Thread watcher;
  private volatile long lastNanos = System.nanoTime();

  StallGuard(InputStream body) {
    this(body, LIMIT);
  }

  StallGuard(InputStream body, Duration limit) {
    watcher = Thread.ofVirtual().name("hub-stall-guard").start(() -> watch(body, limit));
  }

  /** Bytes came. */
  void alive() {
    lastNanos = System.nanoTime();
  }

  private void watch(InputStream body, Duration limit) {
    try {
      while (true) {
        long left = limit.toNanos() - (System.nanoTime() - lastNanos);
        if (left <= 0) {
          body.close();
          return;
        }
        Thread.sleep(Duration.ofNanos(left));
      }
    } catch (InterruptedException e) {
      // The reader is done.
    } catch (IOException e) {
      // It was closed already.
    }
  }

  @Override
  public void close() {
    watcher.interrupt();
  }
}

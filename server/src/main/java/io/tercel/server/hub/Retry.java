package io.tercel.server.hub;

import java.io.IOException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * Repeats what failed for a passing reason, waiting twice as long each time. Attempts count from
 * zero again whenever one got further than the last, so a long download over a bad line ends. A
 * host that can't be reached at all is given up sooner.
 *
 * @param attempts how many in a row may fail without progress
 * @param firstPause before the second attempt
 */
record Retry(int attempts, Duration firstPause) {
  static final Retry DEFAULT = new Retry(6, Duration.ofMillis(500));
  private static final Duration LONGEST = Duration.ofSeconds(60);

  /** One try; it may leave something behind that {@link #progress} measures. */
  interface Attempt<T> {
    T run() throws IOException;

    /** Rises as the work gets further. */
    default long progress() {
      return 0;
    }
  }

  /**
   * Runs until it succeeds.
   *
   * @param what what failed, for the message
   */
  <T> T run(String what, Attempt<T> attempt) {
    int failed = 0;
    long before = attempt.progress();
    while (true) {
      try {
        return attempt.run();
      } catch (IOException e) {
        long now = attempt.progress();
        failed = now > before ? 1 : failed + 1;
        before = now;
        if (failed >= (now == 0 && isUnreachable(e) ? Math.min(attempts, 3) : attempts)) {
          throw new HubException(what + ": " + reason(e), e);
        }
        pause(failed, e instanceof TransientHubException t ? t.retryAfter() : Duration.ZERO);
      }
    }
  }

  private void pause(int failed, Duration asked) {
    long millis = firstPause.toMillis() << Math.min(failed - 1, 10);
    millis += ThreadLocalRandom.current().nextLong(millis / 4 + 1);
    millis = Math.min(Math.max(millis, asked.toMillis()), LONGEST.toMillis());
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new HubException("interrupted; the same command goes on where it stopped", e);
    }
  }

  private static boolean isUnreachable(IOException e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof UnknownHostException
          || cause instanceof UnresolvedAddressException
          || cause instanceof ConnectException) {
        return true;
      }
    }
    return false;
  }

  private static String reason(IOException e) {
    if (isUnreachable(e)) {
      return "the hub can't be reached: no network, or a wrong HF_ENDPOINT"
          + " (a model that is in the cache needs neither)";
    }
    for (@Nullable Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof SSLException) {
        return "TLS failed: " + cause.getMessage();
      }
    }
    String message = e.getMessage();
    return message == null ? e.getClass().getSimpleName() : message;
  }
}

package io.tercel.server.http;

import java.time.Duration;

/**
 * What one client, or all of them together, may take of the server.
 *
 * @param maxBodyBytes a longer request body is a 413
 * @param maxHeaderBytes a longer header block is a 431
 * @param maxConnections open at once; one more is told 503 and closed
 * @param maxBufferedBytes bodies in memory at once, all connections together; more is a 503
 * @param idleTimeout how long a connection may wait between requests
 * @param bodyTimeout how long a request may take to arrive once its head is there
 * @param writeTimeout how long a client may let its answer wait unread
 * @param keepAlive a stream that is silent for this long gets a comment
 */
public record HttpLimits(
    int maxBodyBytes,
    int maxHeaderBytes,
    int maxConnections,
    long maxBufferedBytes,
    Duration idleTimeout,
    Duration bodyTimeout,
    Duration writeTimeout,
    Duration keepAlive) {

  private static final int MAX_BODY = 32 << 20;

  /** Unread bodies take an eighth of the heap at most: a copy or two of each follow. */
  private static final long MAX_BUFFERED =
      Math.clamp(Runtime.getRuntime().maxMemory() / 8, MAX_BODY, 256L << 20);

  public static final HttpLimits DEFAULT =
      new HttpLimits(
          MAX_BODY,
          32 << 10,
          1024,
          MAX_BUFFERED,
          Duration.ofSeconds(75),
          Duration.ofSeconds(120),
          Duration.ofSeconds(60),
          Duration.ofSeconds(10));

  public HttpLimits {
    if (maxBodyBytes < 1 || maxHeaderBytes < 1 || maxConnections < 1) {
      throw new IllegalArgumentException("limits must be positive");
    }
    if (maxBufferedBytes < maxBodyBytes) {
      throw new IllegalArgumentException("maxBufferedBytes must hold at least one body");
    }
  }
}

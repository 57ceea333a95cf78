package io.tercel.server.http;

import java.time.Duration;
import java.util.Objects;

/** What one client, or all of them together, may take of the server. */
public final class HttpLimits {
  private static final int MAX_BODY = 32 << 20;

  /** Unread bodies take an eighth of the heap at most: a copy or two of each follow. */
  private static final long MAX_BUFFERED =
      Math.clamp(Runtime.getRuntime().maxMemory() / 8, MAX_BODY, 256L << 20);

  public static final HttpLimits DEFAULT = new Builder().build();

  private final Builder values;

  private HttpLimits(Builder values) {
    this.values = values;
  }

  /** The same with other values. */
  public Builder toBuilder() {
    return new Builder(values);
  }

  /** A longer request body is a 413. */
  public int maxBodyBytes() {
    return values.maxBodyBytes;
  }

  /** A longer header block is a 431. */
  public int maxHeaderBytes() {
    return values.maxHeaderBytes;
  }

  /** Open at once; one more is told 503 and closed. */
  public int maxConnections() {
    return values.maxConnections;
  }

  /** Bodies in memory at once, all connections together; more is a 503. */
  public long maxBufferedBytes() {
    return values.maxBufferedBytes;
  }

  /** How long a connection may wait between requests. */
  public Duration idleTimeout() {
    return values.idleTimeout;
  }

  /** How long a request may take to arrive once its head is there. */
  public Duration bodyTimeout() {
    return values.bodyTimeout;
  }

  /** How long a client may take nothing of an answer that waits for it. */
  public Duration writeTimeout() {
    return values.writeTimeout;
  }

  /** A stream that is silent for this long gets a comment. */
  public Duration keepAlive() {
    return values.keepAlive;
  }

  /** Limits by name; what isn't named stays as it is. */
  public static final class Builder {
    private int maxBodyBytes = MAX_BODY;
    private int maxHeaderBytes = 32 << 10;
    private int maxConnections = 1024;
    private long maxBufferedBytes = MAX_BUFFERED;
    private Duration idleTimeout = Duration.ofSeconds(75);
    private Duration bodyTimeout = Duration.ofSeconds(120);
    private Duration writeTimeout = Duration.ofSeconds(60);
    private Duration keepAlive = Duration.ofSeconds(10);

    private Builder() {}

    private Builder(Builder other) {
      maxBodyBytes = other.maxBodyBytes;
      maxHeaderBytes = other.maxHeaderBytes;
      maxConnections = other.maxConnections;
      maxBufferedBytes = other.maxBufferedBytes;
      idleTimeout = other.idleTimeout;
      bodyTimeout = other.bodyTimeout;
      writeTimeout = other.writeTimeout;
      keepAlive = other.keepAlive;
    }

    public Builder maxBodyBytes(int bytes) {
      maxBodyBytes = bytes;
      return this;
    }

    public Builder maxHeaderBytes(int bytes) {
      maxHeaderBytes = bytes;
      return this;
    }

    public Builder maxConnections(int connections) {
      maxConnections = connections;
      return this;
    }

    public Builder maxBufferedBytes(long bytes) {
      maxBufferedBytes = bytes;
      return this;
    }

    public Builder idleTimeout(Duration time) {
      idleTimeout = Objects.requireNonNull(time);
      return this;
    }

    public Builder bodyTimeout(Duration time) {
      bodyTimeout = Objects.requireNonNull(time);
      return this;
    }

    public Builder writeTimeout(Duration time) {
      writeTimeout = Objects.requireNonNull(time);
      return this;
    }

    public Builder keepAlive(Duration time) {
      keepAlive = Objects.requireNonNull(time);
      return this;
    }

    /**
     * The limits.
     *
     * @throws IllegalArgumentException if they contradict each other
     */
    public HttpLimits build() {
      if (maxBodyBytes < 1 || maxHeaderBytes < 1 || maxConnections < 1) {
        throw new IllegalArgumentException("limits must be positive");
      }
      if (maxBufferedBytes < maxBodyBytes) {
        throw new IllegalArgumentException("maxBufferedBytes must hold at least one body");
      }
      return new HttpLimits(new Builder(this));
    }
  }
}

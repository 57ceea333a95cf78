package io.tercel.server.http;

import io.tercel.server.call.CallObserver;
import io.tercel.server.call.Keys;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Where a server listens, to whom, and how much it takes. */
public final class HttpServerConfig {
  private final Builder values;

  private HttpServerConfig(Builder values) {
    this.values = values;
  }

  /**
   * At an address, without keys, with the usual limits, in plain text.
   *
   * @param host an address or a name to bind
   * @param port 0 picks a free one
   */
  public static Builder builder(String host, int port) {
    return new Builder(host, port);
  }

  /** The same with other values. */
  public Builder toBuilder() {
    return new Builder(values);
  }

  public String host() {
    return values.host;
  }

  public int port() {
    return values.port;
  }

  public Keys keys() {
    return values.keys;
  }

  /** Is told of every call that has ended. */
  public CallObserver observer() {
    return values.observer;
  }

  public HttpLimits limits() {
    return values.limits;
  }

  /** How long running requests may go on after {@link HttpServer#drain}. */
  public Duration drainTimeout() {
    return values.drainTimeout;
  }

  /** Null for plain text, which is what a proxy in front speaks. */
  public @Nullable Tls tls() {
    return values.tls;
  }

  /** Origins whose web pages may call. */
  Cors cors() {
    return values.cors;
  }

  /** Names that this server has besides its host's, in lower case. */
  List<String> names() {
    return values.names;
  }

  /** Whether only this machine reaches it. */
  public boolean loopback() {
    try {
      return InetAddress.getByName(values.host).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false; // binding says so
    }
  }

  /** What an address begins with. */
  public String scheme() {
    return values.tls == null ? "http" : "https";
  }

  /** Never prints the keys. */
  @Override
  public String toString() {
    return "HttpServerConfig[%s:%d, %s]"
        .formatted(values.host, values.port, values.keys.guardClients() ? "with a key" : "no key");
  }

  /** A configuration by name; what isn't named stays as it is. */
  public static final class Builder {
    private String host;
    private int port;
    private Keys keys = Keys.of(null, null);
    private CallObserver observer = CallObserver.NONE;
    private HttpLimits limits = HttpLimits.DEFAULT;
    private Duration drainTimeout = Duration.ofSeconds(30);
    private @Nullable Tls tls;
    private Cors cors = Cors.of(List.of());
    private List<String> names = List.of();

    private Builder(String host, int port) {
      this.host = host;
      this.port = port;
    }

    private Builder(Builder other) {
      this(other.host, other.port);
      keys = other.keys;
      observer = other.observer;
      limits = other.limits;
      drainTimeout = other.drainTimeout;
      tls = other.tls;
      cors = other.cors;
      names = other.names;
    }

    public Builder host(String name) {
      host = Objects.requireNonNull(name);
      return this;
    }

    /** 0 picks a free one. */
    public Builder port(int number) {
      port = number;
      return this;
    }

    public Builder keys(Keys ring) {
      keys = Objects.requireNonNull(ring);
      return this;
    }

    /** Is told of every call that has ended. */
    public Builder observer(CallObserver one) {
      observer = Objects.requireNonNull(one);
      return this;
    }

    public Builder limits(HttpLimits all) {
      limits = Objects.requireNonNull(all);
      return this;
    }

    public Builder drainTimeout(Duration time) {
      drainTimeout = Objects.requireNonNull(time);
      return this;
    }

    public Builder tls(@Nullable Tls files) {
      tls = files;
      return this;
    }

    /**
     * Lets web pages of these origins call.
     *
     * @param origins such as {@code https://app.example}, or {@code *} for all
     * @throws IllegalArgumentException if one is no origin; the message says which
     */
    public Builder allowOrigins(Collection<String> origins) {
      cors = Cors.of(origins);
      return this;
    }

    /** Names that a proxy in front may hand on in Host, where there is no key. */
    public Builder allowHosts(Collection<String> hosts) {
      names = hosts.stream().map(name -> name.strip().toLowerCase(java.util.Locale.ROOT)).toList();
      return this;
    }

    /**
     * The configuration.
     *
     * @throws IllegalArgumentException if the port is none
     */
    public HttpServerConfig build() {
      if (port < 0 || port > 65535) {
        throw new IllegalArgumentException("port must be between 0 and 65535, not " + port);
      }
      return new HttpServerConfig(new Builder(this));
    }
  }
}

package io.tercel.server.http;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Where the server listens and how much it takes.
 *
 * @param host an address or a name to bind
 * @param port 0 picks a free one
 * @param apiKey guards every route but /health; null leaves all open
 * @param drainTimeout how long running requests may go on after {@link HttpServer#drain}
 * @param tls null for plain text, which is what a proxy in front speaks
 */
public record HttpServerConfig(
    String host,
    int port,
    @Nullable String apiKey,
    HttpLimits limits,
    Duration drainTimeout,
    @Nullable Tls tls) {

  public HttpServerConfig {
    if (apiKey != null && !apiKey.matches("[!-~]+")) { // what a header can carry
      throw new IllegalArgumentException("an API key must be of visible ASCII characters");
    }
    if (port < 0 || port > 65535) {
      throw new IllegalArgumentException("port must be between 0 and 65535, not " + port);
    }
  }

  /** What an address begins with. */
  public String scheme() {
    return tls == null ? "http" : "https";
  }

  /** Never prints the key. */
  @Override
  public String toString() {
    return "HttpServerConfig[%s:%d, %s]"
        .formatted(host, port, apiKey == null ? "no key" : "with a key");
  }
}

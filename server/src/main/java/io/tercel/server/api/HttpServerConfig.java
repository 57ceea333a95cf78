package io.tercel.server.api;

import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Where the server listens, whom it serves and how much.
 *
 * @param host an address or a name to bind
 * @param port 0 picks a free one
 * @param apiKey guards every route but /health; null leaves all open
 * @param modelNames names that clients may ask for; the first is the one that answers carry
 * @param drainTimeout how long running requests may go on after {@link HttpServer#drain}
 * @param version of Tercel, for /version
 * @param systemFingerprint names the weights' version and the kernels; asked for each answer
 * @param tls null for plain text, which is what a proxy in front speaks
 */
public record HttpServerConfig(
    String host,
    int port,
    @Nullable String apiKey,
    List<String> modelNames,
    HttpLimits limits,
    Duration drainTimeout,
    String version,
    Supplier<String> systemFingerprint,
    @Nullable Tls tls) {

  public HttpServerConfig {
    modelNames = List.copyOf(modelNames);
    if (modelNames.isEmpty()) {
      throw new IllegalArgumentException("a model needs a name");
    }
    if (apiKey != null && !apiKey.matches("[!-~]+")) { // what a header can carry
      throw new IllegalArgumentException("an API key must be of visible ASCII characters");
    }
    if (port < 0 || port > 65535) {
      throw new IllegalArgumentException("port must be between 0 and 65535, not " + port);
    }
  }

  /** In plain text. */
  public HttpServerConfig(
      String host,
      int port,
      @Nullable String apiKey,
      List<String> modelNames,
      HttpLimits limits,
      Duration drainTimeout,
      String version,
      Supplier<String> systemFingerprint) {
    this(host, port, apiKey, modelNames, limits, drainTimeout, version, systemFingerprint, null);
  }

  /** What an address begins with. */
  public String scheme() {
    return tls == null ? "http" : "https";
  }

  /** Never prints the key. */
  @Override
  public String toString() {
    return "HttpServerConfig[%s:%d, %s, models %s]"
        .formatted(host, port, apiKey == null ? "no key" : "with a key", modelNames);
  }
}

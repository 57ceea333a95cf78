package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.call.CallObserver;
import io.tercel.server.call.Keys;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.http.Tls;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Where {@code tercel serve} listens, and to whom. */
final class PortOptions {
  @Option(
      names = "--host",
      description = "address to bind (default: ${DEFAULT-VALUE}, this machine alone)")
  private String host = "127.0.0.1";

  @Option(names = "--port", description = "port; 0 picks a free one (default: ${DEFAULT-VALUE})")
  private int port = 8000;

  @Option(
      names = "--grpc-port",
      paramLabel = "PORT",
      description = "serve gRPC too, on this port; 0 picks a free one (default: no gRPC)")
  private @Nullable Integer grpcPort;

  @Option(
      names = "--tls-certificate",
      paramLabel = "FILE",
      description = "PEM certificates, the server's own first: serve TLS, HTTP and gRPC alike")
  private @Nullable Path tlsCertificate;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "the certificate's private key: PEM, PKCS #8, unencrypted")
  private @Nullable Path tlsKey;

  @Option(
      names = "--drain-timeout",
      paramLabel = "SECONDS",
      description = "how long running requests may go on after SIGTERM (default: ${DEFAULT-VALUE})")
  private int drainTimeout = 30;

  @Mixin private final AccessOptions access = new AccessOptions();

  /**
   * Checks what can be checked without opening anything.
   *
   * @throws UserException that names the option
   */
  void check() {
    requirePort("--port", port);
    if (grpcPort != null) {
      requirePort("--grpc-port", grpcPort);
    }
    if ((tlsCertificate == null) != (tlsKey == null)) {
      throw new UserException("--tls-certificate and --tls-key belong together; pass both");
    }
    Integer adminPort = access.adminPort();
    if (adminPort != null) {
      requirePort("--admin-port", adminPort);
    }
  }

  private static void requirePort(String option, int port) {
    if (port < 0 || port > 65_535) {
      throw new UserException(option + ": " + port + " is no port; 0 to 65535");
    }
  }

  /**
   * The keys as given.
   *
   * @throws UserException in one line, if they can't be keys
   */
  ServedKeys keys() {
    return access.keys();
  }

  String host() {
    return host;
  }

  /** Null for no gRPC. */
  @Nullable Integer grpcPort() {
    return grpcPort;
  }

  String adminHost() {
    return access.adminHost();
  }

  /** Whether browsers find something to look at. */
  boolean page() {
    return access.page();
  }

  Duration drainTimeout() {
    return Duration.ofSeconds(drainTimeout);
  }

  private @Nullable Tls tls() {
    if (tlsCertificate == null || tlsKey == null) {
      return null;
    }
    try {
      return Tls.load(tlsCertificate, tlsKey);
    } catch (IOException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  /**
   * The public port.
   *
   * @param observer is told of every call that has ended, on any port
   * @throws UserException that names the option
   */
  HttpServerConfig http(Keys keys, CallObserver observer) {
    try {
      return HttpServerConfig.builder(host, port)
          .keys(keys)
          .observer(observer)
          .drainTimeout(drainTimeout())
          .tls(tls())
          .allowOrigins(access.corsOrigins())
          .allowHosts(access.allowedHosts())
          .build();
    } catch (IllegalArgumentException e) {
      throw new UserException("--cors-allow-origin: " + e.getMessage(), e);
    }
  }

  /**
   * The admin port, null for none. No web page has business there.
   *
   * @throws UserException if anybody could steer the server
   */
  @Nullable HttpServerConfig admin(HttpServerConfig http) {
    Integer adminPort = access.adminPort();
    if (adminPort == null) {
      return null;
    }
    HttpServerConfig admin =
        http.toBuilder().host(access.adminHost()).port(adminPort).allowOrigins(List.of()).build();
    if (!http.keys().guardControl() && (http.keys().guardClients() || !admin.loopback())) {
      throw new UserException(
          "--admin-port needs --admin-key (or TERCEL_ADMIN_KEY) when there is an API key or"
              + " --admin-host is not loopback");
    }
    return admin;
  }
}

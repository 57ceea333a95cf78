package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.call.Keys;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Who may use a server, and from where. */
public final class AccessOptions {
  @Option(
      names = "--api-key",
      paramLabel = "KEY",
      defaultValue = "${env:TERCEL_API_KEY}",
      description = "asked of every client (default: TERCEL_API_KEY from the environment)")
  private @Nullable String apiKey;

  @Option(
      names = "--api-keys",
      paramLabel = "FILE",
      description =
          "YAML or JSON with keys that have names, limits of requests and tokens a minute, classes and"
              + " an end; read again when it changes (default: none)")
  private @Nullable Path apiKeys;

  @Option(
      names = "--admin-key",
      paramLabel = "KEY",
      defaultValue = "${env:TERCEL_ADMIN_KEY}",
      description =
          "opens control (pause, reload, drain, abort; the admin port and gRPC's Control) and"
              + " priorities below 0; without one control is open only while there is no API key"
              + " and the address is loopback (default: TERCEL_ADMIN_KEY from the environment)")
  private @Nullable String adminKey;

  @Option(
      names = "--admin-port",
      paramLabel = "PORT",
      description =
          "serve control over HTTP on this port, and probes and metrics that need no key; 0 picks a"
              + " free one (default: none)")
  private @Nullable Integer adminPort;

  @Option(
      names = "--admin-host",
      paramLabel = "HOST",
      description = "address that the admin port binds (default: ${DEFAULT-VALUE})")
  private String adminHost = "127.0.0.1";

  @Option(
      names = "--cors-allow-origin",
      paramLabel = "ORIGIN",
      split = ",",
      description =
          "let web pages of this origin call, such as https://app.example, or * for all; several,"
              + " separated by commas (default: none)")
  private List<String> corsOrigins = List.of();

  @Option(
      names = "--allowed-host",
      paramLabel = "NAME",
      split = ",",
      description =
          "a name that a proxy in front sends in Host to a server on loopback without an API key;"
              + " addresses and localhost need none")
  private List<String> allowedHosts = List.of();

  @Option(
      names = "--page",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "serve a chat at / and figures at /dashboard (default: on)")
  private boolean page = true;

  /**
   * The keys as given.
   *
   * @throws UserException in one line, if they can't be keys
   */
  ServedKeys keys() {
    return ServedKeys.of(apiKey, adminKey, apiKeys);
  }

  /**
   * Keys as options {@code --api-key} and {@code --admin-key} give them.
   *
   * @throws UserException in one line, if they can't be keys
   */
  public static Keys keys(@Nullable String apiKey, @Nullable String adminKey) {
    return keys(apiKey, adminKey, false);
  }

  /**
   * As {@link #keys(String, String)}.
   *
   * @param named whether there are others besides, which have names
   */
  static Keys keys(@Nullable String apiKey, @Nullable String adminKey, boolean named) {
    try {
      return named
          ? Keys.withNamed(given(apiKey), given(adminKey))
          : Keys.of(given(apiKey), given(adminKey));
    } catch (IllegalArgumentException e) {
      throw new UserException("--api-key, --admin-key: " + e.getMessage(), e);
    }
  }

  /** An empty variable in the environment is none. */
  private static @Nullable String given(@Nullable String key) {
    return key == null || key.isEmpty() ? null : key;
  }

  @Nullable Integer adminPort() {
    return adminPort;
  }

  String adminHost() {
    return adminHost;
  }

  List<String> corsOrigins() {
    return corsOrigins;
  }

  /** Whether browsers find something to look at. */
  boolean page() {
    return page;
  }

  List<String> allowedHosts() {
    return allowedHosts;
  }
}

package io.tercel.server.cli;

import io.tercel.server.UserException;
import org.jspecify.annotations.Nullable;

/**
 * Where a model is served besides what a process does otherwise.
 *
 * @param port 0 picks a free one
 * @param grpcPort likewise; null for no gRPC
 */
public record ServeAddress(String host, int port, @Nullable Integer grpcPort) {
  private static final int MAX_PORT = 65_535;

  /** Of this machine alone. */
  public static final String LOOPBACK = "127.0.0.1";

  public ServeAddress {
    requirePort(port);
    if (grpcPort != null) {
      requirePort(grpcPort);
    }
  }

  private static void requirePort(int port) {
    if (port < 0 || port > MAX_PORT) {
      throw new UserException("serving: " + port + " is no port; 0 to " + MAX_PORT);
    }
  }

  /**
   * Reads {@code HOST:PORT}, {@code [IPV6]:PORT} or {@code PORT}, which is of this machine alone.
   *
   * @param option for errors
   * @throws UserException in one line, if it is none of these
   */
  public static ServeAddress parse(String option, String text, @Nullable Integer grpcPort) {
    int colon = text.lastIndexOf(':');
    String host = colon < 0 ? LOOPBACK : text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.indexOf(':') >= 0) {
      throw none(option, text);
    }
    String digits = text.substring(colon + 1);
    if (host.isEmpty() || !digits.matches("[0-9]{1,5}") || Integer.parseInt(digits) > MAX_PORT) {
      throw none(option, text);
    }
    return new ServeAddress(host, Integer.parseInt(digits), grpcPort);
  }

  private static UserException none(String option, String text) {
    return new UserException(
        "%s: %s is no address; expected HOST:PORT or PORT, such as 127.0.0.1:8000"
            .formatted(option, text));
  }
}

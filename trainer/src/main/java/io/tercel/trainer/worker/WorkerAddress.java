package io.tercel.trainer.worker;

import io.tercel.server.UserException;

/** Where a worker answers gRPC. */
record WorkerAddress(String host, int port) {
  /**
   * Reads {@code host:port}; an IPv6 address stands in brackets.
   *
   * @throws UserException if it is none
   */
  static WorkerAddress parse(String text) {
    int colon = text.lastIndexOf(':');
    String host = colon < 0 ? "" : text.substring(0, colon).strip();
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.indexOf(':') >= 0) {
      host = "";
    }
    try {
      int port = Integer.parseInt(text.substring(colon + 1).strip());
      if (!host.isEmpty() && port > 0 && port <= 65_535) {
        return new WorkerAddress(host, port);
      }
    } catch (NumberFormatException e) { // as any other
    }
    throw new UserException(
        "--rollout-servers: \"%s\" is no host:port, such as 10.0.0.7:9000".formatted(text));
  }

  @Override
  public String toString() {
    return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + port;
  }
}

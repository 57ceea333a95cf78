package io.tercel.server.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.util.NetUtil;
import io.tercel.server.call.ApiException;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Keeps web pages of strangers off a server that asks for no key: the browser of whoever runs it
 * would send them their requests. A page of another origin is known by its {@code Origin}. One
 * whose own name was pointed at this machine meanwhile (DNS rebinding) is of the same origin, but
 * says that name in {@code Host}; so on loopback Host must be an address or a name of this machine.
 */
final class PageGuard {
  private final boolean active;
  private final boolean loopback;
  private final String scheme;
  private final Cors cors;
  private final List<String> names;
  private final String host;

  /**
   * Of a server.
   *
   * @param active false where there is a key that strangers' pages don't have
   */
  PageGuard(HttpServerConfig config, boolean active) {
    this.active = active;
    this.loopback = config.loopback();
    this.scheme = config.scheme();
    this.cors = config.cors();
    this.names = config.names();
    this.host = config.host().toLowerCase(Locale.ROOT);
  }

  /**
   * Looks at a request's head.
   *
   * @throws ApiException 403, if a stranger's page sent it
   */
  void check(HttpHeaders headers) {
    if (!active) {
      return;
    }
    String sentTo = headers.get(HttpHeaderNames.HOST);
    if (loopback && sentTo != null && !isOurs(name(sentTo))) {
      throw ApiException.forbiddenOrigin(
          "Host '%s' is no name of this machine, and the server has no API key: set --api-key, or --allowed-host with that name."
              .formatted(shown(sentTo)));
    }
    String origin = headers.get(HttpHeaderNames.ORIGIN);
    if (origin != null && !cors.allows(origin) && !isSame(origin, sentTo)) {
      throw ApiException.forbiddenOrigin(
          "Web pages of '%s' may not use this server: start it with --cors-allow-origin and that origin."
              .formatted(shown(origin)));
    }
  }

  private boolean isOurs(String name) {
    return NetUtil.isValidIpV4Address(name)
        || NetUtil.isValidIpV6Address(name)
        || name.equals("localhost")
        || name.endsWith(".localhost")
        || name.equals(host)
        || names.contains(name);
  }

  private boolean isSame(String origin, @Nullable String sentTo) {
    return sentTo != null && origin.equalsIgnoreCase(scheme + "://" + sentTo);
  }

  /** Without a port, brackets and the root's dot. */
  private static String name(String sentTo) {
    String name = sentTo.strip().toLowerCase(Locale.ROOT).replaceFirst(":\\d*$", "");
    if (name.startsWith("[") && name.endsWith("]")) {
      return name.substring(1, name.length() - 1);
    }
    return name.endsWith(".") ? name.substring(0, name.length() - 1) : name;
  }

  private static String shown(String text) {
    return text.length() > 100 ? text.substring(0, 100) + "…" : text;
  }
}

package io.tercel.server.http;

import io.netty.handler.codec.http.HttpHeaders;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What browsers need to be told before a page of another origin may call. */
final class Cors {
  private static final Set<String> ALLOWED =
      Set.of("accept", "authorization", "content-type", "x-request-id");
  private static final String DEFAULT = "authorization, content-type, x-request-id";

  private Cors() {}

  /** For every answer. */
  static void apply(HttpHeaders headers) {
    headers.set("access-control-allow-origin", "*");
    headers.set("access-control-expose-headers", "x-request-id, retry-after");
  }

  /**
   * For an answer to OPTIONS. Headers can't be allowed by prefix, so those of the SDKs ({@code
   * x-stainless-*}, {@code openai-*}) are allowed by repeating what was asked for.
   */
  static void applyPreflight(HttpHeaders headers, String methods, @Nullable String asked) {
    headers.set("access-control-allow-methods", methods);
    headers.set("access-control-allow-headers", asked == null ? DEFAULT : allowed(asked));
    headers.set("access-control-max-age", "86400");
    headers.set("vary", "access-control-request-headers");
  }

  private static String allowed(String asked) {
    List<String> allowed = new ArrayList<>();
    for (String name : asked.split(",", -1)) {
      String header = name.strip().toLowerCase(Locale.ROOT);
      if (header.matches("(x-stainless|openai)-[a-z0-9-]{1,64}") || ALLOWED.contains(header)) {
        allowed.add(header);
      }
    }
    return allowed.isEmpty() ? DEFAULT : String.join(", ", allowed);
  }
}

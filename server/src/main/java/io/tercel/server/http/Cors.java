package io.tercel.server.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Which origins' web pages may call, and what browsers need to be told so that they can. */
final class Cors {
  /** What pages may read of an answer besides its body. */
  private static final String EXPOSED =
      "x-request-id, request-id, retry-after, x-ratelimit-limit-requests,"
          + " x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens,"
          + " x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";

  private static final String ANY = "*";
  private static final Set<String> HEADERS =
      Set.of("accept", "authorization", "content-type", "x-api-key", "x-request-id");
  private static final String DEFAULT = "authorization, content-type, x-api-key, x-request-id";

  private final Set<String> origins;

  private Cors(Set<String> origins) {
    this.origins = origins;
  }

  /**
   * Of these origins; none means that no web page may.
   *
   * @throws IllegalArgumentException if one is neither an origin nor {@code *}
   */
  static Cors of(Collection<String> origins) {
    Set<String> all = new LinkedHashSet<>();
    for (String origin : origins) {
      String name = origin.strip().toLowerCase(Locale.ROOT);
      if (!name.equals(ANY)
          && !name.equals("null")
          && !name.matches("[a-z][a-z0-9+.-]*://[^/?#@\\s]+")) {
        throw new IllegalArgumentException(
            "'%s' is no origin: it must be '*', or like https://app.example:8443, without a path"
                .formatted(origin));
      }
      all.add(name);
    }
    return new Cors(all);
  }

  /** Whether pages of an origin, as a browser sends it, may call. */
  boolean allows(String origin) {
    return origins.contains(ANY) || origins.contains(origin.toLowerCase(Locale.ROOT));
  }

  /** For every answer, to a request with these headers. */
  void apply(HttpHeaders answer, HttpHeaders request) {
    if (origins.isEmpty()) {
      return;
    }
    String origin = request.get(HttpHeaderNames.ORIGIN);
    if (origins.contains(ANY)) {
      answer.set(HttpHeaderNames.ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    } else {
      answer.add(HttpHeaderNames.VARY, "origin"); // caches keep one answer an origin
      if (origin == null || !allows(origin)) {
        return;
      }
      answer.set(HttpHeaderNames.ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    answer.set(HttpHeaderNames.ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
  }

  /**
   * For an answer to OPTIONS. Headers can't be allowed by prefix, so those of the SDKs ({@code
   * x-stainless-*}, {@code openai-*}, {@code anthropic-*}) are allowed by repeating what was asked
   * for.
   */
  void applyPreflight(HttpHeaders answer, HttpHeaders request, String methods) {
    String origin = request.get(HttpHeaderNames.ORIGIN);
    if (origin == null || !allows(origin)) {
      return;
    }
    answer.set(HttpHeaderNames.ACCESS_CONTROL_ALLOW_METHODS, methods);
    answer.set(
        HttpHeaderNames.ACCESS_CONTROL_ALLOW_HEADERS,
        allowed(request.get(HttpHeaderNames.ACCESS_CONTROL_REQUEST_HEADERS)));
    answer.set(HttpHeaderNames.ACCESS_CONTROL_MAX_AGE, "86400");
    answer.add(HttpHeaderNames.VARY, "access-control-request-headers");
  }

  private static String allowed(@Nullable String asked) {
    if (asked == null) {
      return DEFAULT;
    }
    List<String> allowed = new ArrayList<>();
    for (String name : asked.split(",", -1)) {
      String header = name.strip().toLowerCase(Locale.ROOT);
      if (header.matches("(x-stainless|openai|anthropic)-[a-z0-9-]{1,64}")
          || HEADERS.contains(header)) {
        allowed.add(header);
      }
    }
    return allowed.isEmpty() ? DEFAULT : String.join(", ", allowed);
  }
}

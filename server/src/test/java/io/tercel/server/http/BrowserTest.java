package io.tercel.server.http;

import static io.tercel.server.http.ConnectionTest.CHAT;
import static io.tercel.server.http.ConnectionTest.PATH;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.call.Keys;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.RawClient.Answer;
import io.tercel.server.testing.TestServer;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which web pages may use a server: none, unless it is told to let them. */
class BrowserTest {
  private static final String PREFLIGHT =
      "OPTIONS "
          + PATH
          + " HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\n"
          + "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers:"
          + " authorization,content-type,x-stainless-os,x-api-key,anthropic-version,x-evil\r\n\r\n";
  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    server = TestServer.start();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static Answer ask(HttpServer http, String request) throws Exception {
    try (RawClient client = new RawClient(http.port())) {
      return client.send(request).read();
    }
  }

  private static String get(String headers) {
    return "GET /v1/models HTTP/1.1\r\n" + headers + "\r\n";
  }

  private static HttpServer allowing(@Nullable String key, String... origins) throws Exception {
    HttpServer http =
        server.another(c -> c.keys(Keys.of(key, null)).allowOrigins(List.of(origins)));
    http.start();
    return http;
  }

  @Test
  void noOriginAllowed_noCorsHeadersAtAll() throws Exception {
    try (HttpServer keyed = allowing("secret")) {
      Answer preflight = ask(keyed, PREFLIGHT.formatted("http://a"));
      assertEquals(204, preflight.status());
      assertEquals("POST, OPTIONS", preflight.headers().get("allow"));
      for (Answer answer :
          List.of(preflight, ask(keyed, get("Host: localhost\r\nOrigin: http://a\r\n")))) {
        assertTrue(
            answer.headers().keySet().stream().noneMatch(h -> h.startsWith("access-control")),
            answer.headers().toString());
        assertFalse(answer.headers().containsKey("vary"));
      }
    }
  }

  @Test
  void anyOriginAllowed_withoutAKeyForPreflights() throws Exception {
    try (HttpServer any = allowing("secret", "*")) {
      Answer preflight = ask(any, PREFLIGHT.formatted("http://a"));
      assertEquals(204, preflight.status());
      assertEquals("*", preflight.headers().get("access-control-allow-origin"));
      assertEquals("POST, OPTIONS", preflight.headers().get("access-control-allow-methods"));
      assertEquals(
          "authorization, content-type, x-stainless-os, x-api-key, anthropic-version",
          preflight.headers().get("access-control-allow-headers"));
      Answer refused = ask(any, get("Host: localhost\r\nOrigin: http://a\r\n"));
      assertEquals(401, refused.status()); // which the page may read
      assertEquals("*", refused.headers().get("access-control-allow-origin"));
      List<String> readable =
          List.of(
              String.valueOf(refused.headers().get("access-control-expose-headers")).split(", "));
      assertTrue(
          readable.containsAll(
              List.of("x-request-id", "retry-after", "x-ratelimit-remaining-tokens")),
          readable.toString());
    }
  }

  @Test
  void oneOriginAllowed_isRepeated_andAnswersVary() throws Exception {
    try (HttpServer one = allowing(null, "https://App.example:8443", "http://b")) {
      Answer answer = ask(one, get("Host: localhost\r\nOrigin: https://app.example:8443\r\n"));
      assertEquals(200, answer.status());
      assertEquals("https://app.example:8443", answer.headers().get("access-control-allow-origin"));
      assertEquals("origin", answer.headers().get("vary"));
      Answer without = ask(one, get("Host: localhost\r\n"));
      assertEquals(200, without.status());
      assertEquals("origin", without.headers().get("vary"), "a cache must not mix them up");
      assertFalse(without.headers().containsKey("access-control-allow-origin"));
      for (String other : List.of("https://app.example", "http://app.example:8443", "null")) {
        Answer refused = ask(one, get("Host: localhost\r\nOrigin: " + other + "\r\n"));
        assertEquals(403, refused.status(), other);
        assertFalse(refused.headers().containsKey("access-control-allow-origin"));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"http://evil.example", "null", "http://localhost:1", "https://localhost"})
  void withoutAKey_pagesOfOthersAreRefused(String origin) throws Exception {
    String chat =
        RawClient.post(PATH, CHAT).replace("\r\n\r\n", "\r\nOrigin: " + origin + "\r\n\r\n");
    for (String request :
        List.of(
            get("Host: localhost\r\nOrigin: " + origin + "\r\n"),
            chat,
            chat.replace("application/json", "text/plain"), // what needs no preflight
            PREFLIGHT.formatted(origin))) {
      Answer answer = ask(server.http, request);
      assertEquals(403, answer.status(), request);
      assertTrue(answer.body().contains("--cors-allow-origin"), answer.body());
    }
    assertEquals(0, server.engine.stats().work().promptTokens());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil",
        ""
      })
  void withoutAKey_rebindingIsRefused(String host) throws Exception {
    Answer answer = ask(server.http, get("Host: " + host + "\r\nOrigin: http://" + host + "\r\n"));
    assertEquals(403, answer.status());
    assertTrue(answer.body().contains("--api-key"), answer.body());
    try (HttpServer keyed = allowing("secret")) { // no page has the key
      assertEquals(401, ask(keyed, get("Host: " + host + "\r\n")).status());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "localhost",
        "LocalHost:8000",
        "localhost.",
        "a.localhost:1",
        "127.0.0.1:8000",
        "[::1]:80",
        "10.0.0.7",
        "proxy.example"
      })
  void withoutAKey_namesOfThisMachineAreServed(String host) throws Exception {
    try (HttpServer http = server.another(c -> c.allowHosts(List.of("Proxy.example")))) {
      http.start();
      assertEquals(200, ask(http, get("Host: " + host + "\r\n")).status());
      assertEquals(
          200, ask(http, get("Host: " + host + "\r\nOrigin: http://" + host + "\r\n")).status());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"app.example", "https://app.example/", "https://", "https://a b", ""})
  void notAnOrigin_isRefusedAtStart(String origin) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> HttpServerConfig.builder("127.0.0.1", 0).allowOrigins(List.of(origin)));
    assertTrue(String.valueOf(e.getMessage()).contains("without a path"), e.getMessage());
  }
}

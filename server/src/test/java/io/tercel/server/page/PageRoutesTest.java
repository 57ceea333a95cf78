package io.tercel.server.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.api.PublicRoutes;
import io.tercel.server.http.HttpServer;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.RawClient.Answer;
import io.tercel.server.testing.TestServer;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The page's files, on a server that asks for a key. */
class PageRoutesTest {
  private static final String KEY = "secret";
  private static TestServer server;
  private static HttpServer paged;

  @BeforeAll
  static void start() throws Exception {
    server = new TestServer(TestServer.USUAL.withKey(KEY));
    paged = new HttpServer(server.config, new PublicRoutes(server.api, new PageRoutes()));
    paged.start();
  }

  @AfterAll
  static void stop() {
    paged.close();
    server.close();
  }

  private static Answer ask(HttpServer http, String method, String path, String... headers)
      throws Exception {
    try (RawClient client = new RawClient(http.port())) {
      String lines = Stream.of(headers).map(h -> h + "\r\n").collect(Collectors.joining());
      String head = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + lines + "\r\n";
      return client.send(head).read(!method.equals("HEAD"));
    }
  }

  private static Answer get(String path, String... headers) throws Exception {
    return ask(paged, "GET", path, headers);
  }

  private static Path folder() throws Exception {
    URL here = Objects.requireNonNull(PageRoutes.class.getResource("index.html"));
    return Objects.requireNonNull(Path.of(here.toURI()).getParent());
  }

  /** A file that is there and has no route would be missing in the browser only. */
  @Test
  void assets_areAllFilesOfTheFolder() throws Exception {
    Path folder = folder();
    try (Stream<Path> files = Files.walk(folder)) {
      Set<String> there =
          files
              .filter(Files::isRegularFile)
              .map(file -> folder.relativize(file).toString().replace('\\', '/'))
              .filter(name -> !name.endsWith(".html") && !name.endsWith(".class"))
              .filter(name -> !name.equals("vendor/README.md"))
              .collect(Collectors.toCollection(TreeSet::new));
      assertEquals(there, new TreeSet<>(PageRoutes.ASSETS));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "/, text/html; charset=utf-8, index.html",
    "/?q=1, text/html; charset=utf-8, index.html",
    "/dashboard, text/html; charset=utf-8, dashboard.html",
    "/assets/chat.js, text/javascript; charset=utf-8, chat.js",
    "/assets/page.css, text/css; charset=utf-8, page.css",
    "/assets/icon.svg, image/svg+xml, icon.svg",
    "/assets/vendor/temml.min.js, text/javascript; charset=utf-8, vendor/temml.min.js",
    "/assets/vendor/Temml.woff2, font/woff2, vendor/Temml.woff2",
    "/assets/vendor/temml.LICENSE.txt, text/plain; charset=utf-8, vendor/temml.LICENSE.txt",
  })
  void file_withItsTypeAndPolicy_withoutAKey(String path, String type, String file)
      throws Exception {
    Answer answer = get(path);
    assertEquals(200, answer.status());
    assertEquals(type, answer.headers().get("content-type"));
    byte[] bytes = Files.readAllBytes(folder().resolve(file));
    assertEquals(Integer.toString(bytes.length), answer.headers().get("content-length"));
    assertEquals(new String(bytes, StandardCharsets.UTF_8), answer.body());
    assertEquals(PageFile.POLICY, answer.headers().get("content-security-policy"));
    assertEquals("nosniff", answer.headers().get("x-content-type-options"));
    assertEquals("no-referrer", answer.headers().get("referrer-policy"));
    assertEquals("no-cache", answer.headers().get("cache-control"));
  }

  /**
   * Nothing of the page may have to be loosened for: no inline script or style, nothing foreign.
   */
  @ParameterizedTest
  @ValueSource(strings = {"index.html", "dashboard.html"})
  void markup_standsUnderThePolicy(String name) throws Exception {
    for (String loose : new String[] {"unsafe", "*", "http:", "https:"}) {
      assertFalse(PageFile.POLICY.contains(loose), PageFile.POLICY);
    }
    String html = Files.readString(folder().resolve(name));
    assertFalse(Pattern.compile("<script(?![^>]*\\ssrc=)").matcher(html).find(), "inline script");
    assertFalse(Pattern.compile("<style|\\sstyle=|\\son\\w+=").matcher(html).find(), "inline");
    Matcher links = Pattern.compile("(?:src|href)=\"([^\"]*)\"").matcher(html);
    while (links.find()) {
      String path = links.group(1).equals("./") ? "/" : "/" + links.group(1);
      assertEquals(200, get(path).status(), path);
    }
  }

  @Test
  void head_isTheGetsWithoutABody() throws Exception {
    Answer whole = get("/assets/chat.js");
    Answer head = ask(paged, "HEAD", "/assets/chat.js");
    assertEquals(200, head.status());
    assertEquals("", head.body());
    for (String name : new String[] {"content-length", "content-type", "etag"}) {
      assertEquals(whole.headers().get(name), head.headers().get(name), name);
    }
    int bytes = whole.body().getBytes(StandardCharsets.UTF_8).length;
    assertEquals(Integer.toString(bytes), head.headers().get("content-length"));
  }

  @Test
  void known_is304_andTheConnectionGoesOn() throws Exception {
    String tag = get("/").headers().get("etag");
    assertNotEquals(tag, get("/dashboard").headers().get("etag"));
    for (String known : new String[] {tag, "W/" + tag, "\"other\", " + tag, "*"}) {
      try (RawClient client = new RawClient(paged.port())) {
        String head = "GET / HTTP/1.1\r\nHost: localhost\r\n";
        Answer answer = client.send(head + "If-None-Match: " + known + "\r\n\r\n").read(false);
        assertEquals(304, answer.status(), known);
        assertEquals(tag, answer.headers().get("etag"));
        assertNull(answer.headers().get("content-length"));
        assertEquals(PageFile.POLICY, answer.headers().get("content-security-policy"));
        assertEquals(200, client.send(head + "\r\n").read().status());
      }
    }
    assertEquals(200, get("/", "If-None-Match: \"other\"").status());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/assets",
        "/assets/",
        "/assets/vendor",
        "/assets/vendor/",
        "/assets/PageRoutes.class",
        "/assets/package-info.class",
        "/assets/vendor/README.md",
        "/assets/index.html",
        "/assets/../PageRoutes.class",
        "/assets/../../cli/ServeCommand.class",
        "/assets/%2e%2e/%2e%2e/cli/ServeCommand.class",
        "/assets/..%2f..%2fcli%2fServeCommand.class",
        "/assets/..\\PageRoutes.class",
        "/assets//chat.js",
        "/assets/./chat.js",
        "/assets/chat.js/",
        "/assets/chat.js%00",
        "/assets//etc/passwd",
        "/assets/vendor/../chat.js",
        "//assets/chat.js",
        "/dashboard/",
        "/index.html",
        "/chat.js",
        "/io/tercel/server/page/chat.js"
      })
  void anyOtherPath_isUnknown_andToStrangersClosed(String path) throws Exception {
    assertEquals(401, get(path).status());
    Answer answer = get(path, "Authorization: Bearer " + KEY);
    assertEquals(404, answer.status());
    assertEquals("application/json", answer.headers().get("content-type"));
  }

  @Test
  void otherMethods_areRefused() throws Exception {
    Answer answer = ask(paged, "POST", "/", "Content-Length: 0", "Content-Type: application/json");
    assertEquals(405, answer.status());
    assertEquals("GET, HEAD, OPTIONS", answer.headers().get("allow"));
  }

  @Test
  void callsOfThePage_needTheKeyAsAlways() throws Exception {
    for (String path : new String[] {"/v1/models", "/metrics"}) {
      assertEquals(401, get(path).status());
      assertEquals(200, get(path, "Authorization: Bearer " + KEY).status());
    }
  }

  @Test
  void withoutThePage_nothingOfItIsThere() throws Exception {
    for (String path : new String[] {"/", "/dashboard", "/assets/chat.js"}) {
      assertEquals(401, ask(server.http, "GET", path).status());
      Answer answer = ask(server.http, "GET", path, "Authorization: Bearer " + KEY);
      assertEquals(404, answer.status());
      assertTrue(answer.body().contains("Unknown route"), answer.body());
    }
  }
}

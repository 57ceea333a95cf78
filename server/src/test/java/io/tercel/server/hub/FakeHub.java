package io.tercel.server.hub;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;

/**
 * A hub on the loopback interface that answers as huggingface.co does: a listing, HEAD with the
 * linked headers, and large files by a redirect to a store under another host name. It can be told
 * to misbehave.
 */
final class FakeHub implements AutoCloseable {
  static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

  /** One request as it came. */
  record Seen(String method, String host, String path, String range, String authorization) {}

  /** Does something in place of the good answer; false to let the good answer follow. */
  interface Mischief {
    boolean answer(HttpExchange exchange) throws IOException;
  }

  final Map<String, byte[]> files = new LinkedHashMap<>();
  final List<String> extraNames = new ArrayList<>();
  final List<Seen> seen = new CopyOnWriteArrayList<>();
  volatile Mischief mischief = exchange -> false;

  /** Bodies end after so many bytes, once for each number, with the connection closed. */
  final List<Integer> cuts = new CopyOnWriteArrayList<>();

  private final HttpServer server;

  FakeHub() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext("/", this::handle);
    server.start();
  }

  URI endpoint() {
    return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
  }

  void put(String name, byte[] content) {
    files.put(name, content);
  }

  void put(String name, String content) {
    put(name, content.getBytes(StandardCharsets.UTF_8));
  }

  long count(String method, String pathEnd) {
    return seen.stream()
        .filter(s -> s.method().equals(method) && s.path().endsWith(pathEnd))
        .count();
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      seen.add(
          new Seen(
              exchange.getRequestMethod(),
              header(exchange, "Host"),
              exchange.getRequestURI().getRawPath(),
              header(exchange, "Range"),
              header(exchange, "Authorization")));
      if (!mischief.answer(exchange)) {
        answer(exchange);
      }
    }
  }

  private void answer(HttpExchange exchange) throws IOException {
    // the same repository is a data set too
    String path =
        exchange
            .getRequestURI()
            .getPath()
            .replaceFirst("^/datasets/", "/")
            .replaceFirst("^/api/datasets/", "/api/models/");
    String resolve = "/acme/tiny/resolve/" + COMMIT + "/";
    if (path.startsWith("/api/models/acme/tiny/revision/")) {
      if (!List.of("main", "v1", COMMIT).contains(path.substring(path.lastIndexOf('/') + 1))) {
        exchange.getResponseHeaders().add("X-Error-Code", "RevisionNotFound");
        exchange.sendResponseHeaders(404, -1);
        return;
      }
      send(exchange, 200, listing().getBytes(StandardCharsets.UTF_8));
    } else if (path.startsWith(resolve) && files.containsKey(path.substring(resolve.length()))) {
      resolve(exchange, path.substring(resolve.length()));
    } else if (path.startsWith("/store/")) {
      body(exchange, path.substring("/store/".length()));
    } else {
      exchange.getResponseHeaders().add("X-Error-Code", "RepoNotFound");
      exchange.sendResponseHeaders(header(exchange, "Authorization").isEmpty() ? 401 : 404, -1);
    }
  }

  private byte[] content(String name) {
    return Objects.requireNonNull(files.get(name), name);
  }

  private String listing() {
    List<String> names = new ArrayList<>(files.keySet());
    names.addAll(extraNames);
    StringBuilder json =
        new StringBuilder("{\"id\":\"acme/tiny\",\"sha\":\"" + COMMIT + "\",\"siblings\":[");
    for (int i = 0; i < names.size(); i++) {
      json.append(i == 0 ? "" : ",")
          .append("{\"rfilename\":\"")
          .append(names.get(i).replace("\\", "\\\\"))
          .append("\"}");
    }
    return json.append("]}").toString();
  }

  private void resolve(HttpExchange exchange, String name) throws IOException {
    byte[] content = content(name);
    exchange.getResponseHeaders().add("X-Repo-Commit", COMMIT);
    if (name.endsWith(".safetensors")) {
      exchange.getResponseHeaders().add("X-Linked-Etag", '"' + sum("SHA-256", content) + '"');
      exchange.getResponseHeaders().add("X-Linked-Size", "" + content.length);
      exchange.getResponseHeaders().add("ETag", "\"of-the-redirect\"");
      exchange
          .getResponseHeaders()
          .add("Location", "http://localhost:" + server.getAddress().getPort() + "/store/" + name);
      exchange.sendResponseHeaders(302, -1);
      return;
    }
    exchange.getResponseHeaders().add("ETag", "W/\"" + sum("SHA-1", content) + '"');
    if (exchange.getRequestMethod().equals("HEAD")) {
      exchange.getResponseHeaders().add("Content-Length", "" + content.length);
      exchange.sendResponseHeaders(200, -1);
      return;
    }
    body(exchange, name);
  }

  private void body(HttpExchange exchange, String name) throws IOException {
    byte[] content = content(name);
    String range = header(exchange, "Range");
    int from = range.isEmpty() ? 0 : Integer.parseInt(range.replace("bytes=", "").replace("-", ""));
    byte[] part = Arrays.copyOfRange(content, from, content.length);
    if (from > 0) {
      exchange
          .getResponseHeaders()
          .add(
              "Content-Range",
              "bytes %d-%d/%d".formatted(from, content.length - 1, content.length));
    }
    int cut = name.endsWith(".safetensors") && !cuts.isEmpty() ? cuts.removeFirst() : part.length;
    exchange.sendResponseHeaders(from > 0 ? 206 : 200, part.length);
    exchange.getResponseBody().write(part, 0, Math.min(cut, part.length));
    exchange.getResponseBody().flush();
  }

  static void send(HttpExchange exchange, int status, byte[] body) throws IOException {
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    try (OutputStream out = exchange.getResponseBody()) {
      out.write(body);
    }
  }

  private static String header(HttpExchange exchange, String name) {
    String value = exchange.getRequestHeaders().getFirst(name);
    return value == null ? "" : value;
  }

  static String sum(String algorithm, byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance(algorithm).digest(content));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void close() {
    server.stop(0);
  }
}

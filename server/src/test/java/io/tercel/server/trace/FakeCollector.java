package io.tercel.server.trace;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import com.sun.net.httpserver.HttpServer;
import io.tercel.server.testing.TestServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.zip.GZIPInputStream;

/**
 * An OTLP endpoint over HTTP: takes traces and reads them off the wire, field number by field
 * number as opentelemetry-proto has them.
 */
final class FakeCollector implements AutoCloseable {
  private final HttpServer server;
  private final List<Span> spans = new CopyOnWriteArrayList<>();
  private final Map<String, Object> resource = new ConcurrentHashMap<>();
  private final StringBuffer text = new StringBuffer();

  /**
   * A span.
   *
   * @param parentId empty for none
   * @param kind 2 is a server's
   * @param start in nanoseconds since 1970
   * @param status 2 is an error
   */
  record Span(
      String traceId,
      String spanId,
      String parentId,
      String name,
      int kind,
      long start,
      long end,
      int status,
      Map<String, Object> attributes) {}

  FakeCollector() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/v1/traces",
        exchange -> {
          try (exchange) {
            InputStream body = exchange.getRequestBody();
            boolean zipped =
                "gzip".equals(exchange.getRequestHeaders().getFirst("content-encoding"));
            byte[] bytes = (zipped ? new GZIPInputStream(body) : body).readAllBytes();
            text.append(new String(bytes, StandardCharsets.ISO_8859_1));
            request(CodedInputStream.newInstance(bytes));
            exchange.getResponseHeaders().set("content-type", "application/x-protobuf");
            exchange.sendResponseHeaders(200, -1);
          }
        });
    server.start();
  }

  String endpoint() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  /** All that has come, once there are so many. */
  List<Span> await(int count) throws InterruptedException {
    TestServer.await(count + " spans", () -> spans.size() >= count);
    return List.copyOf(spans);
  }

  static Span named(List<Span> spans, String name) {
    List<Span> found = spans.stream().filter(span -> span.name().equals(name)).toList();
    if (found.size() != 1) {
      throw new AssertionError(found.size() + " spans '" + name + "' in " + spans);
    }
    return found.getFirst();
  }

  Map<String, Object> resource() {
    return resource;
  }

  /** Whatever came, byte by byte. */
  String text() {
    return text.toString();
  }

  /** What reads a field of a message; others are left out. */
  private interface Field {
    boolean read(int number, CodedInputStream in) throws IOException;
  }

  private static void message(CodedInputStream in, Field field) throws IOException {
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      if (!field.read(WireFormat.getTagFieldNumber(tag), in)) {
        in.skipField(tag);
      }
    }
  }

  private static CodedInputStream nested(CodedInputStream in) throws IOException {
    return CodedInputStream.newInstance(in.readByteArray());
  }

  private void request(CodedInputStream in) throws IOException {
    message(in, (number, all) -> number == 1 && resourceSpans(nested(all)));
  }

  private boolean resourceSpans(CodedInputStream in) throws IOException {
    message(
        in,
        (number, all) ->
            switch (number) {
              case 1 -> {
                message(nested(all), (n, r) -> n == 1 && attribute(nested(r), resource));
                yield true;
              }
              case 2 -> {
                message(nested(all), (n, s) -> n == 2 && spans.add(span(nested(s))));
                yield true;
              }
              default -> false;
            });
    return true;
  }

  private static Span span(CodedInputStream in) throws IOException {
    Map<Integer, Object> fields = new LinkedHashMap<>();
    Map<String, Object> attributes = new LinkedHashMap<>();
    message(
        in,
        (number, all) -> {
          switch (number) {
            case 1, 2, 4 -> fields.put(number, HexFormat.of().formatHex(all.readByteArray()));
            case 5 -> fields.put(number, all.readString());
            case 6 -> fields.put(number, all.readEnum());
            case 7, 8 -> fields.put(number, all.readFixed64());
            case 9 -> attribute(nested(all), attributes);
            case 15 ->
                message(nested(all), (n, s) -> n == 3 && fields.put(15, s.readEnum()) == null);
            default -> {
              return false;
            }
          }
          return true;
        });
    return new Span(
        String.valueOf(fields.get(1)),
        String.valueOf(fields.get(2)),
        (String) fields.getOrDefault(4, ""),
        String.valueOf(fields.get(5)),
        (int) fields.getOrDefault(6, 0),
        (long) fields.getOrDefault(7, -1L),
        (long) fields.getOrDefault(8, -1L),
        (int) fields.getOrDefault(15, 0),
        attributes);
  }

  private static boolean attribute(CodedInputStream in, Map<String, Object> into)
      throws IOException {
    List<String> key = new ArrayList<>();
    List<Object> value = new ArrayList<>();
    message(
        in,
        (number, all) ->
            switch (number) {
              case 1 -> key.add(all.readString());
              case 2 -> value.add(value(nested(all)));
              default -> false;
            });
    into.put(key.getFirst(), value.getFirst());
    return true;
  }

  private static Object value(CodedInputStream in) throws IOException {
    List<Object> found = new ArrayList<>();
    message(
        in,
        (number, all) ->
            switch (number) {
              case 1 -> found.add(all.readString());
              case 2 -> found.add(all.readBool());
              case 3 -> found.add(all.readInt64());
              case 4 -> found.add(all.readDouble());
              case 5 -> found.add(list(nested(all)));
              default -> false;
            });
    return found.getFirst();
  }

  private static List<Object> list(CodedInputStream in) throws IOException {
    List<Object> items = new ArrayList<>();
    message(in, (number, all) -> number == 1 && items.add(value(nested(all))));
    return items;
  }

  @Override
  public void close() {
    server.stop(0);
  }
}

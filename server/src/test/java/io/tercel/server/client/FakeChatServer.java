package io.tercel.server.client;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/** A server on the loopback interface that streams what a test tells it to. */
public final class FakeChatServer implements AutoCloseable {
  /** What to stream for a request. */
  public interface Script {
    void run(JsonNode request, Stream stream) throws IOException;
  }

  /** A stream under way, or a refusal in its place. */
  public static final class Stream {
    private final HttpExchange exchange;
    private boolean started;

    Stream(HttpExchange exchange) {
      this.exchange = exchange;
    }

    /** Sends bytes as they are. */
    public void raw(String text) throws IOException {
      if (!started) {
        started = true;
        exchange.getResponseHeaders().add("Content-Type", "text/event-stream");
        exchange.sendResponseHeaders(200, 0);
      }
      exchange.getResponseBody().write(text.getBytes(StandardCharsets.UTF_8));
      exchange.getResponseBody().flush();
    }

    public void event(String json) throws IOException {
      raw("data: " + json + "\n\n");
    }

    public void think(String text) throws IOException {
      delta("reasoning_content", text);
    }

    public void say(String text) throws IOException {
      delta("content", text);
    }

    private void delta(String field, String text) throws IOException {
      JsonNode quoted = new ObjectMapper().valueToTree(text);
      event("{\"choices\":[{\"index\":0,\"delta\":{\"%s\":%s}}]}".formatted(field, quoted));
    }

    /** The last chunks: why it ended, the usage, and the end. */
    public void end(String reason, int tokens, int reasoning) throws IOException {
      event("{\"choices\":[{\"delta\":{},\"finish_reason\":\"" + reason + "\"}]}");
      event(
          ("{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":%d,"
                  + "\"completion_tokens_details\":{\"reasoning_tokens\":%d}}}")
              .formatted(tokens, reasoning));
      raw("data: [DONE]\n\n");
    }

    public void refuse(int status, String message) throws IOException {
      exchange.getResponseHeaders().add("Retry-After", "0");
      byte[] body =
          ("{\"error\":{\"message\":\"" + message + "\"}}").getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(status, body.length);
      exchange.getResponseBody().write(body);
    }

    /** Streams comments until the client has gone. */
    public void untilGone() throws IOException {
      while (true) {
        raw(": keep-alive\n\n");
        try {
          Thread.sleep(5); // the pace of a keep-alive; only a write tells that a client has gone
        } catch (InterruptedException e) {
          throw new IOException(e);
        }
      }
    }
  }

  public final List<JsonNode> requests = new CopyOnWriteArrayList<>();

  /** Open when a client left in the middle of a stream. */
  public final CountDownLatch left = new CountDownLatch(1);

  private final HttpServer server;
  private final @Nullable String key;
  private volatile Script script =
      (request, stream) -> {
        stream.think("Hm.");
        stream.say("Fine.");
        stream.end("stop", 5, 2);
      };

  public FakeChatServer(@Nullable String key) throws IOException {
    this.key = key;
    server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext("/", this::handle);
    server.start();
  }

  public void play(Script next) {
    script = next;
  }

  public URI url() {
    return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      String authorization = exchange.getRequestHeaders().getFirst("Authorization");
      Stream stream = new Stream(exchange);
      if (key != null && !("Bearer " + key).equals(authorization)) {
        stream.refuse(401, "wrong key");
      } else if (exchange.getRequestURI().getPath().equals("/v1/models")) {
        byte[] body = "{\"data\":[{\"id\":\"tiny\"}]}".getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
      } else if (exchange.getRequestURI().getPath().equals("/v1/chat/completions")) {
        JsonNode request = new ObjectMapper().readTree(exchange.getRequestBody());
        requests.add(request);
        try {
          script.run(request, stream);
        } catch (IOException e) {
          left.countDown();
          throw e;
        }
      } else {
        stream.refuse(404, "no such route");
      }
    }
  }

  @Override
  public void close() {
    server.stop(0);
  }
}

package io.tercel.loadtests.client;

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
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** A server on the loopback interface that answers completions as a test tells it to. */
public final class ScriptedServer implements AutoCloseable {
  /** How to answer a request. */
  public interface Script {
    void run(JsonNode request, Answer answer) throws IOException, InterruptedException;
  }

  /** An answer under way. */
  public static final class Answer {
    private final HttpExchange exchange;
    private boolean started;

    Answer(HttpExchange exchange) {
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

    public void token(String text) throws IOException {
      raw("data: {\"choices\":[{\"text\":\"" + text + "\"}]}\n\n");
    }

    public void thought(String text) throws IOException {
      raw("data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"" + text + "\"}}]}\n\n");
    }

    public void said(String text) throws IOException {
      raw("data: {\"choices\":[{\"delta\":{\"content\":\"" + text + "\"}}]}\n\n");
    }

    public void end(int prompt, int output, int reasoning) throws IOException {
      raw("data: {\"choices\":[{\"text\":\"\",\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
      raw(
          ("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,"
                  + "\"completion_tokens_details\":{\"reasoning_tokens\":%d}}}\n\n"
                  + "data: [DONE]\n\n")
              .formatted(prompt, output, reasoning));
    }

    public void refuse(int status, String message) throws IOException {
      exchange.getResponseHeaders().add("Retry-After", "2");
      byte[] body =
          ("{\"error\":{\"message\":\"" + message + "\"}}").getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(status, body.length);
      exchange.getResponseBody().write(body);
    }
  }

  /** Streamed requests, in the order they came. */
  public final List<JsonNode> requests = new CopyOnWriteArrayList<>();

  /** Clients that were gone when they were written to. */
  public final AtomicInteger gone = new AtomicInteger();

  /** Directories whose weights were asked for. */
  public final List<String> updates = new CopyOnWriteArrayList<>();

  /** Whether they are refused. */
  public volatile boolean refusesUpdates;

  /** The most requests that were under way at once. */
  public final AtomicInteger peak = new AtomicInteger();

  /** Requests under way. */
  public final AtomicInteger running = new AtomicInteger();

  private final HttpServer server;
  private volatile Script script =
      (request, answer) -> {
        int tokens = request.path("max_tokens").asInt(4);
        for (int i = 0; i < tokens; i++) {
          answer.token("x");
        }
        answer.end(request.path("prompt").size(), tokens, 0);
      };

  public ScriptedServer() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext("/", this::handle);
    server.start();
  }

  public void play(Script next) {
    script = next;
  }

  /** Waits until no request is under way; false if some are after 20 s. */
  public boolean awaitIdle() throws InterruptedException {
    long deadline = System.nanoTime() + 20_000_000_000L;
    synchronized (running) {
      while (running.get() > 0 && System.nanoTime() < deadline) {
        running.wait(1000);
      }
      return running.get() == 0;
    }
  }

  public String url() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  public URI completions() {
    return URI.create(url() + "/v1/completions");
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      String path = exchange.getRequestURI().getPath();
      if (path.equals("/v1/models")) {
        json(exchange, "{\"data\":[{\"id\":\"scripted\"}]}");
      } else if (path.equals("/metrics")) {
        json(exchange, "process_resident_memory_bytes 2097152\n");
      } else if (path.equals("/update_weights_from_disk")) {
        JsonNode request = new ObjectMapper().readTree(exchange.getRequestBody());
        updates.add(request.path("model_path").asText());
        if (refusesUpdates) {
          new Answer(exchange).refuse(400, "other shapes");
        } else {
          json(exchange, "{\"success\":true,\"weight_version\":" + updates.size() + "}");
        }
      } else if (path.equals("/tokenize")) {
        JsonNode request = new ObjectMapper().readTree(exchange.getRequestBody());
        json(exchange, "{\"count\":" + request.get("prompt").asText().split(" ").length + "}");
      } else if (path.endsWith("/completions")) {
        JsonNode request = new ObjectMapper().readTree(exchange.getRequestBody());
        if (request.path("stream").asBoolean()) {
          stream(request, exchange);
        } else {
          // each word is two tokens, and the template has three
          String text = request.at("/messages/0/content").asText(request.path("prompt").asText());
          int tokens = 2 * text.split(" ").length + 3;
          json(
              exchange,
              "{\"choices\":[{\"prompt_token_ids\":[41,42,43,41]}],\"usage\":{\"prompt_tokens\":"
                  + tokens
                  + "}}");
        }
      } else {
        new Answer(exchange).refuse(404, "no such route");
      }
    }
  }

  private void stream(JsonNode request, HttpExchange exchange) throws IOException {
    requests.add(request);
    peak.accumulateAndGet(running.incrementAndGet(), Math::max);
    try {
      script.run(request, new Answer(exchange));
    } catch (IOException e) {
      gone.incrementAndGet();
      throw e;
    } catch (InterruptedException e) {
      throw new IOException(e);
    } finally {
      synchronized (running) {
        running.decrementAndGet();
        running.notifyAll();
      }
    }
  }

  private static void json(HttpExchange exchange, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(200, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  @Override
  public void close() {
    server.stop(0);
  }
}

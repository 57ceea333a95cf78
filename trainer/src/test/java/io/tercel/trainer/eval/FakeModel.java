package io.tercel.trainer.eval;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/** A server that answers each prompt as a function says; null is a refusal for good. */
final class FakeModel implements AutoCloseable {
  final List<JsonNode> requests = new CopyOnWriteArrayList<>();
  final AtomicInteger busy = new AtomicInteger();
  final AtomicInteger running = new AtomicInteger();
  final AtomicInteger mostRunning = new AtomicInteger();

  /** What /v1/models lists. */
  volatile String card = "{\"id\":\"fake\"}";

  private final CountDownLatch second = new CountDownLatch(1);
  private final HttpServer server;
  private final Function<String, String> model;

  FakeModel(Function<String, String> model) throws IOException {
    this.model = model;
    server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext("/v1/models", e -> send(e, 200, "{\"data\":[" + card + "]}"));
    server.createContext("/v1/chat/completions", this::complete);
    server.start();
  }

  String url() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  private void complete(HttpExchange exchange) throws IOException {
    if (mostRunning.accumulateAndGet(running.incrementAndGet(), Math::max) > 1) {
      second.countDown();
    }
    try {
      JsonNode request = new ObjectMapper().readTree(exchange.getRequestBody());
      if (busy.getAndDecrement() > 0) {
        send(exchange, 503, "{}");
        return;
      }
      requests.add(request);
      String prompt = request.at("/messages/0/content").asText();
      if (requests.size() == 1) {
        second.await(2, TimeUnit.SECONDS); // on a busy machine the first could be done before it
      }
      Thread.sleep(prompt.hashCode() % 5 + 5L); // Answers come in another order than asked.
      String text = model.apply(prompt);
      if (text.isEmpty()) {
        send(exchange, 400, "{\"error\":{\"message\":\"prompt: too long\"}}");
        return;
      }
      JsonNode quoted = new ObjectMapper().valueToTree(text);
      send(
          exchange,
          200,
          """
          data: {"choices":[{"delta":{"reasoning_content":"hm \\\\boxed{0}","content":%s}}]}

          data: {"choices":[{"delta":{},"finish_reason":"stop"}]}

          data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9,\
          "completion_tokens_details":{"reasoning_tokens":4}}}

          data: [DONE]

          """
              .formatted(quoted));
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  private void send(HttpExchange exchange, int status, String body) throws IOException {
    // before the client has its answer, for then it may ask the next
    running.decrementAndGet();
    try (exchange) {
      byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(status, bytes.length);
      exchange.getResponseBody().write(bytes);
    }
  }

  @Override
  public void close() {
    server.stop(0);
  }
}

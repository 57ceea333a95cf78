package io.tercel.server.cli;

import io.tercel.server.api.PublicRoutes;
import io.tercel.server.call.Json;
import io.tercel.server.call.Keys;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.model.Miniature;
import io.tercel.server.model.Release;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.request.ApiConfig;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes the first request as fast as the hundredth: before the server is ready, a {@link Miniature}
 * of the model is served on a port of its own and asked as clients ask, over sockets, until the
 * JVM's compilers have little left to do or the time is up. Kernels in the Vector API run a hundred
 * times slower before they are compiled, so the little twin spares seconds for each layer.
 */
final class WarmUp {
  private static final Logger log = LoggerFactory.getLogger(WarmUp.class);

  /** A start may not be held up for longer. */
  private static final Duration LONGEST = Duration.ofSeconds(6);

  private static final int LEAST_ROUNDS = 8;

  /** Of a round's time on all processors, the compilers' share below which it is warm. */
  private static final double SETTLED = 0.05;

  /**
   * Requests of two tokens a round: the JVM compiles what has run a few hundred times, and what
   * runs once a request needs as many requests.
   */
  private static final int BRIEF = 40;

  /** Prompt tokens: attention at depth, and a chunk of prefill with its ragged end. */
  private static final int LONG_PROMPT = 677;

  private static final String SCHEMA =
      """
      {"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":
      {"name":{"type":"string"},"count":{"type":"integer"},"tags":{"type":"array","items":
      {"type":"string"}}},"required":["name","count","tags"],"additionalProperties":false}}}""";

  private final Miniature model;
  private final PrintStream out;
  private final boolean shown = System.console() != null;
  private final CompilationMXBean compilers = ManagementFactory.getCompilationMXBean();
  private final Random random = new Random(1);
  private final Duration longest;
  private int asked;
  private boolean failed;

  /** Tells its progress where somebody looks at the console. */
  WarmUp(Miniature model, PrintStream out) {
    this(model, out, LONGEST);
  }

  /** No new round begins after so long. */
  WarmUp(Miniature model, PrintStream out, Duration longest) {
    this.model = model;
    this.out = out;
    this.longest = longest;
  }

  /** Requests so far. */
  synchronized int asked() {
    return asked;
  }

  /** Whether it ended early. */
  boolean failed() {
    return failed;
  }

  /** Runs it; what goes wrong in it is logged and costs nothing but the warmth. */
  void run() throws InterruptedException {
    long start = System.nanoTime();
    String key = HexFormat.of().toHexDigits(random.nextLong());
    ApiConfig api = new ApiConfig(List.of("warm-up"), Release.VERSION, _ -> "warm-up");
    HttpServerConfig config =
        HttpServerConfig.builder("127.0.0.1", 0)
            .keys(Keys.of(key, null))
            .drainTimeout(Duration.ofSeconds(1))
            .build();
    try (HttpServer server =
            new HttpServer(config, new PublicRoutes(new InferenceApi(api, model.served())));
        ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      server.start();
      rounds(start, new Client(server.port(), key), clients);
    } catch (IOException | ExecutionException e) {
      failed = true;
      log.warn("the warm-up failed; the first requests will be slow", e);
    }
    if (shown) {
      out.printf("\rWarming up: %d requests in %.1f s%n", asked(), seconds(start));
    }
    log.info("warmed up by {} requests in {} s", asked(), seconds(start));
  }

  private void rounds(long start, Client client, ExecutorService clients)
      throws IOException, ExecutionException, InterruptedException {
    int cores = Runtime.getRuntime().availableProcessors();
    int round = 0;
    double share;
    do {
      long compiled = compilers.getTotalCompilationTime();
      long began = System.nanoTime();
      round(client, clients, round, start);
      share =
          (compilers.getTotalCompilationTime() - compiled)
              / ((System.nanoTime() - began) / 1e6 * cores);
      log.debug("round {}: {} s, compilers {}", round, seconds(began), share);
      round++;
    } while ((round < LEAST_ROUNDS || share > SETTLED)
        && System.nanoTime() - start < longest.toNanos());
  }

  private void round(Client client, ExecutorService clients, int round, long start)
      throws IOException, ExecutionException, InterruptedException {
    for (int i = 0; i < 4; i++) {
      ask(client, chat("\"temperature\":0,\"max_tokens\":16", round));
      ask(client, chat("\"stream\":true,\"max_tokens\":16,\"seed\":" + round, round));
      progress(start);
    }
    ask(client, chat("\"max_tokens\":16,\"logprobs\":true,\"top_logprobs\":2", round));
    ask(client, chat("\"max_tokens\":32,\"response_format\":" + SCHEMA, round));
    ask(client, longPrompt());
    progress(start);
    for (int i = 0; i < BRIEF; i++) {
      String request = chat("\"max_tokens\": 2, \"stream\": " + (i % 4 == 3), round * BRIEF + i);
      ask(client, request);
    }
    progress(start);
    List<Future<?>> together = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      String request = chat("\"max_tokens\":16,\"seed\":" + i, round * 4 + i);
      together.add(
          clients.submit(
              () -> {
                ask(client, request);
                return null;
              }));
    }
    for (Future<?> one : together) {
      one.get();
    }
    progress(start);
  }

  private void ask(Client client, String request) throws IOException {
    client.post(request);
    synchronized (this) {
      asked++;
    }
  }

  /** A chat, or a completion for a model without a template, whose text differs by a number. */
  private String chat(String fields, int number) {
    String text = "What is %d + %d? Explain it.".formatted(number, 7 * number);
    String prompt =
        model.served().chatTemplate() == null
            ? "\"prompt\": \"%s\"".formatted(text)
            : "\"messages\": [{\"role\": \"user\", \"content\": \"%s\"}]".formatted(text);
    return "{%s, \"ignore_eos\": true, %s}".formatted(prompt, fields);
  }

  /** Token ids that no cache has seen. */
  private String longPrompt() {
    int length = Math.min(LONG_PROMPT, model.served().maxModelLen() / 2);
    int[] ids = random.ints(length, 0, model.served().tokenizer().vocabSize()).toArray();
    Map<String, Object> body = Map.of("prompt", ids, "max_tokens", 4, "ignore_eos", true);
    return new String(Json.bytes(body), StandardCharsets.UTF_8);
  }

  private void progress(long start) {
    if (shown) {
      long share = 100 * (System.nanoTime() - start) / longest.toNanos();
      out.print("\rWarming up: " + Math.min(99, share) + " % at most");
      out.flush();
    }
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  /** Posts over a socket of its own each time and reads to the end. */
  private record Client(int port, String key) {
    void post(String json) throws IOException {
      byte[] body = json.getBytes(StandardCharsets.UTF_8);
      String path = json.startsWith("{\"messages\"") ? "/v1/chat/completions" : "/v1/completions";
      String head =
          "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
                  .formatted(path, port, key)
              + "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                  .formatted(body.length);
      try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
        socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
        socket.getOutputStream().write(body);
        socket.getOutputStream().flush();
        String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (!answer.startsWith("HTTP/1.1 200")) {
          throw new IOException(answer.lines().reduce((a, b) -> b).orElse("no answer"));
        }
      }
    }
  }
}

package io.tercel.loadtests.client;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.data.LoadRequest;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.OptionalDouble;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** A server with OpenAI's HTTP API. Connections are kept and used again, as clients do. */
public final class HttpTarget implements Target {
  private static final Duration CONNECT = Duration.ofSeconds(10);

  private final URI endpoint;
  private final @Nullable String apiKey;
  private final RequestBody body;
  private final Duration timeout;
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final HttpClient client;

  /**
   * Of one endpoint.
   *
   * @param endpoint {@code .../v1/completions} or {@code .../v1/chat/completions}
   * @param apiKey sent as a bearer token; null for none
   * @param extra fields for all requests, see {@link RequestBody}
   * @param timeout how long a client waits for its whole answer
   */
  public HttpTarget(
      URI endpoint, @Nullable String apiKey, String model, ObjectNode extra, Duration timeout) {
    this.endpoint = endpoint;
    this.apiKey = apiKey;
    this.body = new RequestBody(isChat(endpoint.getPath()), model, extra.deepCopy());
    this.timeout = timeout;
    this.client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT)
            .executor(executor)
            .build();
  }

  /** Whether a path is that of a chat endpoint. */
  public static boolean isChat(String path) {
    return path.endsWith("/chat/completions");
  }

  @Override
  public Call prepare(LoadRequest request, ClientBehavior behavior) {
    byte[] bytes = body.of(request);
    return switch (behavior) {
      case ClientBehavior.SlowReader slow -> {
        SlowHttpReader reader =
            new SlowHttpReader(endpoint, apiKey, slow.bytesPerSecond(), timeout);
        yield trace -> reader.run(bytes, trace);
      }
      case ClientBehavior.Leaver leaver -> call(bytes, leaver);
      case ClientBehavior.Patient _ -> call(bytes, null);
    };
  }

  private Call call(byte[] bytes, ClientBehavior.@Nullable Leaver leaver) {
    HttpRequest.Builder builder =
        HttpRequest.newBuilder(endpoint)
            .header("content-type", "application/json")
            .header("accept", "text/event-stream")
            .POST(HttpRequest.BodyPublishers.ofByteArray(bytes));
    if (apiKey != null) {
      builder.header("authorization", "Bearer " + apiKey);
    }
    HttpRequest request = builder.build();
    return trace -> run(request, leaver, trace);
  }

  private void run(HttpRequest request, ClientBehavior.@Nullable Leaver leaver, RequestTrace trace)
      throws InterruptedException {
    boolean leavesEarly = leaver != null && leaver.afterTokens() == 0;
    int leaveAfter = leaver == null || leavesEarly ? Integer.MAX_VALUE : leaver.afterTokens();
    EventSubscriber events = new EventSubscriber(trace, leaveAfter);
    trace.sent(System.nanoTime());
    CompletableFuture<HttpResponse<String>> response =
        client.sendAsync(
            request,
            head ->
                head.statusCode() == 200
                    ? events
                    : HttpResponse.BodySubscribers.ofString(StandardCharsets.UTF_8));
    try {
      HttpResponse<String> answer =
          leaver != null && leavesEarly
              ? response.get(leaver.delayNanos(), TimeUnit.NANOSECONDS)
              : response.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
      if (answer.statusCode() != 200) {
        trace.failed(System.nanoTime(), refusal(answer));
      }
    } catch (TimeoutException e) {
      if (leavesEarly) {
        trace.left(System.nanoTime());
      } else {
        trace.failed(
            System.nanoTime(), Failure.timeout("no end after " + timeout.toSeconds() + " s"));
      }
    } catch (ExecutionException e) {
      trace.failed(System.nanoTime(), broken(e.getCause(), trace));
    } catch (CancellationException e) {
      trace.failed(System.nanoTime(), Failure.connection("cancelled"));
    } finally {
      // Closes the connection, unless all is over: the first before the answer's head, the other in
      // its body.
      response.cancel(true);
      events.leave();
    }
  }

  private static Failure refusal(HttpResponse<String> answer) {
    return Failure.status(
        answer.statusCode(),
        message(answer.body()),
        retryAfter(answer.headers().firstValue("retry-after").orElse("")));
  }

  /** A Retry-After in seconds; a date counts as none. */
  static OptionalDouble retryAfter(String header) {
    return header.matches("\\d{1,9}")
        ? OptionalDouble.of(Double.parseDouble(header))
        : OptionalDouble.empty();
  }

  /** What an error's body says, in one line. */
  static String message(String body) {
    String text = body;
    try {
      JsonNode message = new ObjectMapper().readTree(body).path("error").path("message");
      text = message.isTextual() ? message.asText() : body;
    } catch (IOException e) {
      // Not JSON: it is shown as it is.
    }
    String line = text.replaceAll("\\s+", " ").strip();
    return line.length() > 300 ? line.substring(0, 300) + "..." : line;
  }

  private static Failure broken(@Nullable Throwable cause, RequestTrace trace) {
    for (Throwable t = cause; t != null; t = t.getCause()) {
      if (t instanceof ConnectException) {
        return Failure.connection("no connection: " + t);
      }
    }
    String message = "the connection broke: " + cause;
    return trace.hasTokens() ? Failure.stream(message) : Failure.connection(message);
  }

  @Override
  public void close() {
    client.shutdownNow();
    executor.shutdownNow();
  }
}

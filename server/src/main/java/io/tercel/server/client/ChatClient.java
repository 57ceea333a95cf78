package io.tercel.server.client;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * Talks to a server with OpenAI's chat completions. Always streams: a long thought would outlast
 * any timeout of a whole answer. Safe for many threads.
 */
public final class ChatClient implements AutoCloseable {
  private static final Duration CONNECT = Duration.ofSeconds(10);

  private final URI base;
  private final @Nullable String apiKey;
  private final HttpClient client;

  /**
   * A client of one server.
   *
   * @param base the server's address, with or without {@code /v1}
   * @param apiKey sent as a bearer token; null for none
   */
  public ChatClient(URI base, @Nullable String apiKey) {
    String text = base.toString().replaceAll("/+$", "").replaceAll("/v1$", "");
    this.base = URI.create(text);
    this.apiKey = apiKey;
    this.client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT)
            .build();
  }

  /** The address without {@code /v1}. */
  public URI base() {
    return base;
  }

  /**
   * The name of the model that the server serves: the first that it lists.
   *
   * @throws ChatException if it can't be reached, refuses, or lists none
   */
  public String model() throws ChatException, InterruptedException {
    return firstModel().get("id").asText();
  }

  /**
   * The tokens of prompt and answer that the model holds; empty where the server doesn't say.
   *
   * @throws ChatException as {@link #model}
   */
  public OptionalInt contextLength() throws ChatException, InterruptedException {
    int length = firstModel().path("max_model_len").asInt();
    return length > 0 ? OptionalInt.of(length) : OptionalInt.empty();
  }

  private JsonNode firstModel() throws ChatException, InterruptedException {
    try {
      HttpResponse<String> response =
          client.send(
              request("/v1/models").timeout(CONNECT).GET().build(),
              HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
      if (response.statusCode() != 200) {
        String hint =
            response.statusCode() == 401 ? ": set --api-key or TERCEL_API_KEY" : " to /v1/models";
        throw new ChatException(
            base + " answered " + response.statusCode() + hint, response.statusCode(), 0);
      }
      JsonNode model = new ObjectMapper().readTree(response.body()).path("data").path(0);
      if (!model.path("id").isTextual()) {
        throw new ChatException(base + " lists no model", 404, 0);
      }
      return model;
    } catch (ChatException e) {
      throw e;
    } catch (IOException e) {
      throw broken(base.toString(), e);
    }
  }

  /** Asks for a completion, and returns before it begins. */
  public ChatStream open(ChatCall call) {
    HttpRequest request =
        request("/v1/chat/completions")
            .header("content-type", "application/json")
            .header("accept", "text/event-stream")
            .POST(HttpRequest.BodyPublishers.ofString(call.body().toString()))
            .build();
    return new ChatStream(
        client.sendAsync(request, HttpResponse.BodyHandlers.ofInputStream()), base.toString());
  }

  private HttpRequest.Builder request(String path) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path));
    return apiKey == null ? request : request.header("authorization", "Bearer " + apiKey);
  }

  /** One line for what the JDK's client threw. */
  static ChatException broken(String where, @Nullable Throwable cause) {
    IOException e = cause instanceof IOException io ? io : new IOException(cause);
    for (Throwable t = e; t != null; t = t.getCause()) {
      if (t instanceof ConnectException) {
        return new ChatException("no server answers at " + where, e);
      }
    }
    return new ChatException("the connection to " + where + " broke", e);
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}

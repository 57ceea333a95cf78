package io.tercel.server.batch;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.Json;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** Sends requests whose answers come whole, however long that takes. Safe for many threads. */
public final class BatchClient implements AutoCloseable {
  private static final Duration CONNECT = Duration.ofSeconds(10);

  private final String base;
  private final @Nullable String apiKey;
  private final HttpClient client;

  /**
   * A client of one server.
   *
   * @param base the server's address, with or without {@code /v1}
   * @param apiKey sent as a bearer token; null for none
   */
  public BatchClient(URI base, @Nullable String apiKey) {
    this.base = base.toString().replaceAll("/+$", "").replaceAll("/v1$", "");
    this.apiKey = apiKey;
    this.client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT)
            .build();
  }

  CompletableFuture<HttpResponse<byte[]>> send(String path, ObjectNode body) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(base + path))
            .header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofByteArray(Json.bytes(body)));
    if (apiKey != null) {
      request.header("authorization", "Bearer " + apiKey);
    }
    return client.sendAsync(request.build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  String base() {
    return base;
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}

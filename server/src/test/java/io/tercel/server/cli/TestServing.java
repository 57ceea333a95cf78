package io.tercel.server.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.server.api.HttpLimits;
import io.tercel.server.api.HttpServer;
import io.tercel.server.api.HttpServerConfig;
import io.tercel.server.api.InferenceApi;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** A directory served as {@code tercel serve} does it, on a free port, and a bare client. */
final class TestServing implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final RunningModel model;
  private final InferenceApi api;
  private final HttpServer server;
  private final HttpClient client = HttpClient.newHttpClient();

  TestServing(Path directory, ModelOptions options) throws IOException {
    model = RunningModel.open(directory, options, null, LoadProgress.SILENT);
    HttpServerConfig config =
        new HttpServerConfig(
            "127.0.0.1",
            0,
            null,
            List.of("m"),
            HttpLimits.DEFAULT,
            Duration.ofSeconds(5),
            "test",
            () -> "test");
    api = new InferenceApi(config, model.served());
    server = new HttpServer(api);
    server.start();
  }

  static ModelOptions fp32() {
    ModelOptions options = new ModelOptions();
    options.kvCacheDtype = "fp32";
    return options;
  }

  InferenceApi api() {
    return api;
  }

  RunningModel model() {
    return model;
  }

  JsonNode post(String path, Object body) throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path))
            .header("content-type", "application/json")
            .timeout(Duration.ofMinutes(2))
            .POST(HttpRequest.BodyPublishers.ofByteArray(JSON.writeValueAsBytes(body)))
            .build();
    var response = client.send(request, BodyHandlers.ofString());
    if (response.statusCode() != 200) {
      throw new AssertionError(response.statusCode() + " " + response.body());
    }
    return JSON.readTree(response.body());
  }

  @Override
  public void close() {
    client.close();
    server.close();
    model.close();
  }
}

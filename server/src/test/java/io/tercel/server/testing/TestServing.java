package io.tercel.server.testing;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.server.api.PublicRoutes;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingOptions;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.request.ApiConfig;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** A directory served as {@code tercel serve} does it, on a free port, and a bare client. */
public final class TestServing implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final RunningModel model;
  private final InferenceApi api;
  private final HttpServerConfig config;
  private final HttpServer server;
  private final HttpClient client = HttpClient.newHttpClient();

  public TestServing(Path directory, ServingOptions options) throws IOException {
    model = RunningModel.open(directory, options, null, LoadProgress.SILENT);
    config = HttpServerConfig.builder("127.0.0.1", 0).drainTimeout(Duration.ofSeconds(5)).build();
    api =
        new InferenceApi(
            new ApiConfig(List.of("m"), "test", _ -> "test").allowingChoices(options.maxChoices()),
            model.served());
    server = new HttpServer(config, new PublicRoutes(api));
    server.start();
  }

  public static ServingOptions fp32() {
    return new ServingOptions().kvCacheDtype("fp32");
  }

  public HttpServerConfig config() {
    return config;
  }

  public InferenceApi api() {
    return api;
  }

  public RunningModel model() {
    return model;
  }

  public JsonNode post(String path, Object body) throws IOException, InterruptedException {
    HttpResponse<String> response = ask(path, body);
    if (response.statusCode() != 200) {
      throw new AssertionError(response.statusCode() + " " + response.body());
    }
    return JSON.readTree(response.body());
  }

  /** What is answered, be it an error. */
  public HttpResponse<String> ask(String path, Object body)
      throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path))
            .header("content-type", "application/json")
            .timeout(Duration.ofMinutes(2))
            .POST(HttpRequest.BodyPublishers.ofByteArray(JSON.writeValueAsBytes(body)))
            .build();
    return client.send(request, BodyHandlers.ofString());
  }

  @Override
  public void close() {
    client.close();
    server.close();
    model.close();
  }
}

package io.tercel.loadtests.client;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** Steers a server by its admin port. */
public final class AdminClient implements AutoCloseable {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Duration TIMEOUT = Duration.ofMinutes(2);

  private final URI base;
  private final @Nullable String key;
  private final HttpClient client = HttpClient.newHttpClient();

  /**
   * Connects to nobody yet.
   *
   * @param base address of the admin port
   * @param key its key; null for none
   */
  public AdminClient(URI base, @Nullable String key) {
    this.base = base;
    this.key = key;
  }

  /**
   * Has the server read other weights and put them in place.
   *
   * @param directory on the server's machine
   * @return the version they have now
   * @throws TargetException if it can't be reached or refuses, with what it says
   */
  public long updateWeights(String directory) throws InterruptedException {
    String body = MAPPER.createObjectNode().put("model_path", directory).toString();
    HttpRequest.Builder request =
        HttpRequest.newBuilder(base.resolve("/update_weights_from_disk"))
            .timeout(TIMEOUT)
            .header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body));
    if (key != null) {
      request.header("authorization", "Bearer " + key);
    }
    try {
      HttpResponse<String> answer =
          client.send(request.build(), HttpResponse.BodyHandlers.ofString());
      JsonNode version = MAPPER.readTree(answer.body()).path("weight_version");
      if (answer.statusCode() != 200 || !version.canConvertToLong()) {
        throw new TargetException(answer.statusCode() + ": " + answer.body());
      }
      return version.asLong();
    } catch (IOException e) {
      throw new TargetException(base + ": " + e, e);
    }
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}

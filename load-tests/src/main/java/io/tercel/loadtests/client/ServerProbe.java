package io.tercel.loadtests.client;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.data.TokenCounter;
import io.tercel.loadtests.data.WordPrompts;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/** What a load test asks a server beforehand, and its metrics afterwards. */
public final class ServerProbe implements AutoCloseable {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Duration CONNECT = Duration.ofSeconds(10);
  private static final int FEW_WORDS = 64;
  private static final int MANY_WORDS = 192;

  private final String base;
  private final @Nullable String apiKey;
  private final Duration timeout;
  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(CONNECT).build();

  /**
   * Of one server.
   *
   * @param base its address, without {@code /v1}
   */
  public ServerProbe(String base, @Nullable String apiKey, Duration timeout) {
    this.base = base;
    this.apiKey = apiKey;
    this.timeout = timeout;
  }

  /**
   * The first model that it lists.
   *
   * @throws TargetException if it can't be reached, refuses, or lists none
   */
  public String model() throws InterruptedException {
    JsonNode id = json(request("/v1/models").GET()).path("data").path(0).path("id");
    if (!id.isTextual()) {
      throw new TargetException(base + " lists no model; give --model");
    }
    return id.asText();
  }

  /** Random words of about the wanted number of tokens, by what the server counts for a few. */
  public WordPrompts words(String endpoint, String model) throws InterruptedException {
    int few = promptTokens(endpoint, model, FEW_WORDS);
    int many = promptTokens(endpoint, model, MANY_WORDS);
    double perWord = (double) (many - few) / (MANY_WORDS - FEW_WORDS);
    if (!(perWord > 0)) {
      throw new TargetException(
          "%s counts %d tokens for %d words and %d for %d: no prompts of a given length can be made; use"
                  .formatted(base, few, FEW_WORDS, many, MANY_WORDS)
              + " --dataset-name custom");
    }
    return new WordPrompts(perWord, Math.max(0, few - perWord * FEW_WORDS));
  }

  private int promptTokens(String endpoint, String model, int words) throws InterruptedException {
    JsonNode answer = json(ask(endpoint, model, WordPrompts.sample(words)));
    JsonNode tokens = answer.path("usage").path("prompt_tokens");
    if (!tokens.isInt()) {
      throw new TargetException(
          base + endpoint + " tells no usage: prompts of a given length can't be made");
    }
    return tokens.asInt();
  }

  /**
   * Counts tokens as the server does, by its {@code /tokenize}, which vLLM and SGLang have too;
   * empty if it has none.
   */
  public Optional<TokenCounter> tokenCounter(String model) throws InterruptedException {
    try {
      HttpResponse<String> answer = send(tokenize(model, "a"));
      if (answer.statusCode() != 200 || !MAPPER.readTree(answer.body()).path("count").isInt()) {
        return Optional.empty();
      }
    } catch (IOException e) {
      return Optional.empty();
    }
    return Optional.of(text -> json(tokenize(model, text)).path("count").asInt());
  }

  private HttpRequest.Builder tokenize(String model, String text) {
    ObjectNode body = MAPPER.createObjectNode();
    body.put("model", model).put("prompt", text).put("add_special_tokens", false);
    return request("/tokenize")
        .header("content-type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(body.toString()));
  }

  /** Ids of ordinary tokens, from those of some words; empty if the server doesn't tell. */
  public Optional<int[]> tokenIds(String endpoint, String model) throws InterruptedException {
    JsonNode choice =
        json(ask(endpoint, model, WordPrompts.sample(FEW_WORDS))).path("choices").path(0);
    IntStream ids =
        StreamSupport.stream(choice.path("prompt_token_ids").spliterator(), false)
            .mapToInt(JsonNode::asInt);
    int[] distinct = ids.distinct().sorted().toArray();
    return distinct.length == 0 ? Optional.empty() : Optional.of(distinct);
  }

  private HttpRequest.Builder ask(String endpoint, String model, String words) {
    boolean chat = HttpTarget.isChat(endpoint);
    ObjectNode body = MAPPER.createObjectNode();
    body.put("model", model);
    if (chat) {
      body.putArray("messages").addObject().put("role", "user").put("content", words);
    } else {
      body.put("prompt", words).put("add_special_tokens", false);
    }
    body.put("max_tokens", 1).put("return_token_ids", true);
    return request(endpoint)
        .header("content-type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(body.toString()));
  }

  /** The metrics in Prometheus' text format; empty if there are none. */
  public Optional<String> metrics() throws InterruptedException {
    try {
      HttpResponse<String> answer = send(request("/metrics").GET());
      return answer.statusCode() == 200 ? Optional.of(answer.body()) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /**
   * The metrics in Prometheus' text format.
   *
   * @throws TargetException if the server doesn't tell them
   */
  public String requireMetrics() throws InterruptedException {
    return metrics()
        .orElseThrow(() -> new TargetException(base + "/metrics can't be read any more"));
  }

  private JsonNode json(HttpRequest.Builder builder) throws InterruptedException {
    try {
      HttpResponse<String> answer = send(builder);
      if (answer.statusCode() != 200) {
        String hint = answer.statusCode() == 401 ? "; set --api-key or TERCEL_API_KEY" : "";
        throw new TargetException(
            "%s answered %d: %s%s"
                .formatted(
                    answer.uri(), answer.statusCode(), HttpTarget.message(answer.body()), hint));
      }
      return MAPPER.readTree(answer.body());
    } catch (IOException e) {
      throw new TargetException(
          "no server answers at " + base + " (" + e + "); start one, or give --base-url", e);
    }
  }

  private HttpResponse<String> send(HttpRequest.Builder builder)
      throws IOException, InterruptedException {
    return client.send(
        builder.timeout(timeout).build(),
        HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
  }

  private HttpRequest.Builder request(String path) {
    HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(base + path));
    return apiKey == null ? builder : builder.header("authorization", "Bearer " + apiKey);
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}

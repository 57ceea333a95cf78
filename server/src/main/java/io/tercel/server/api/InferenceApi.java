package io.tercel.server.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.api.wire.Usage;
import io.tercel.server.engine.EngineEvent.PromptScored;
import io.tercel.server.engine.EngineEvent.Token;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutionException;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What can be asked of a served model, whatever wire carries it: HTTP and gRPC share one, and with
 * it the key, the figures and the readiness. Its methods may be called from any thread and wait for
 * what they answer.
 */
public final class InferenceApi {
  /** Stands between the id of a request of several prompts and the number of each. */
  static final String PART = "#";

  private final HttpServerConfig config;
  private final ServedModel model;
  private final ServerMetrics metrics;
  private final @Nullable ApiKey key;
  private final JsonIntake intake = new JsonIntake();
  private final ChatCompletionHandler chat;
  private final Sequencing sequencing;

  public InferenceApi(HttpServerConfig config, ServedModel model) {
    this.config = config;
    this.model = model;
    this.metrics = new ServerMetrics(config.modelNames().getFirst(), model);
    this.key = config.apiKey() == null ? null : new ApiKey(config.apiKey());
    this.chat = new ChatCompletionHandler(config, model, metrics, intake);
    this.sequencing = new Sequencing(model, metrics);
  }

  public HttpServerConfig config() {
    return config;
  }

  public ServedModel model() {
    return model;
  }

  ServerMetrics metrics() {
    return metrics;
  }

  JsonIntake intake() {
    return intake;
  }

  @Nullable ApiKey key() {
    return key;
  }

  /**
   * Lets those pass who have the key, where there is one.
   *
   * @param authorization such as {@code Bearer KEY}
   * @throws ApiException 401
   */
  public void checkKey(@Nullable String authorization) {
    if (key != null) {
      key.check(authorization);
    }
  }

  /** Whether requests for tokens are admitted. */
  public boolean ready() {
    return model.engine().ready();
  }

  /** Stops admissions on every wire, for good; what runs and waits goes on. */
  public void drain() {
    model.engine().drain();
  }

  /**
   * Answers a chat completion.
   *
   * @param json the body, as of HTTP
   * @throws ApiException if it can't be run as it is, or fails before its stream has begun
   */
  public void chat(Call call, byte[] json) throws InterruptedException {
    requireReady();
    chat.answer(call, json);
  }

  /**
   * Continues one prompt to its end.
   *
   * @param id names the request; null has one made
   * @param length of the request as it came, in bytes
   * @param fields makes those of {@link TokenRequest}, under their names in /v1/completions
   * @throws ApiException if it can't be run as it is, or fails
   */
  public void generate(
      Caller caller, @Nullable String id, int length, Supplier<ObjectNode> fields, TokenStream out)
      throws InterruptedException {
    long arrived = System.nanoTime();
    requireReady();
    TokenRequest request =
        intake.read(
            length, fields, tree -> TokenRequest.read(new RequestFields(tree), config, model));
    String name = request.common().model();
    CompletionId named =
        id == null ? CompletionId.next("gen-", name, config) : CompletionId.of(id, name, config);
    GenerationReader reader =
        sequencing.submit(
            caller,
            named.id(),
            request.prompt(),
            request.params(),
            request.common(),
            new AnswerForm(model.markers(), request.thought(), true, 0),
            arrived);
    try {
      out.started(named, request.prompt().length);
    } catch (RuntimeException e) {
      reader.cancel();
      throw e;
    }
    reader.readAll(new Forwarding(out));
    out.usage(
        Usage.of(
            request.prompt().length,
            reader.numTokens(),
            reader.cachedTokens(),
            reader.reasoningTokens()));
  }

  /**
   * Ends a request with what it has got so far.
   *
   * @param id as its answers carry it
   * @return whether there was one
   */
  public boolean abort(String id) throws InterruptedException {
    Predicate<String> named = other -> other.equals(id) || other.startsWith(id + PART);
    try {
      return model.engine().abort(named).get() > 0;
    } catch (ExecutionException e) {
      throw ApiException.unavailable("The server is shutting down.");
    }
  }

  /** A value's JSON, UTF-8. */
  public static byte[] json(Object value) {
    return Json.bytes(value);
  }

  /** An object for {@link #generate}'s fields. */
  public static ObjectNode newFields() {
    return Json.MAPPER.createObjectNode();
  }

  /**
   * A field's value that came as JSON.
   *
   * @param name of the field, for the refusal
   * @throws ApiException if it isn't one JSON object
   */
  public static ObjectNode parseField(String name, String json) {
    try {
      return Json.parseObject(json.getBytes(StandardCharsets.UTF_8));
    } catch (ApiException e) {
      throw ApiException.invalid(name, name + " must be a JSON object: " + e.getMessage());
    }
  }

  private void requireReady() {
    if (!ready()) {
      throw ApiException.unavailable("The server is not ready, or shutting down.");
    }
  }

  /** From the reader's terms into the stream's. */
  private record Forwarding(TokenStream out) implements GenerationReader.Sink {
    @Override
    public void promptScored(PromptScored scores) {
      out.promptScored(scores.tokens());
    }

    @Override
    public void token(Token token, boolean thinking) {
      out.token(token, thinking);
    }

    @Override
    public void delta(ChoiceDelta delta) {
      out.delta(delta);
    }
  }
}

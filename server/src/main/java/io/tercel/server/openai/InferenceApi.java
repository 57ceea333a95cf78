package io.tercel.server.openai;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.answer.AnswerParts;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.answer.Sequencing;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Call;
import io.tercel.server.call.Caller;
import io.tercel.server.call.Json;
import io.tercel.server.engine.EngineEvent.PromptScored;
import io.tercel.server.engine.EngineEvent.Token;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.ServedModel;
import io.tercel.server.openai.wire.Usage;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.CompletionId;
import io.tercel.server.request.RequestFields;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutionException;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What can be asked of a served model, whatever wire carries it: HTTP and gRPC share one, and with
 * it the figures and the readiness. Its methods may be called from any thread and wait for what
 * they answer.
 */
public final class InferenceApi {
  private final ApiContext context;
  private final ApiConfig config;
  private final ServedModel model;
  private final ResponseStore responses;
  private final ChatCompletionHandler chat;
  private final Sequencing sequencing;

  public InferenceApi(ApiConfig config, ServedModel model) {
    this.context = ApiContext.of(config, model);
    this.config = config;
    this.model = model;
    this.responses = new ResponseStore(config.storedResponseBytes());
    this.chat = new ChatCompletionHandler(context);
    this.sequencing = context.sequencing();
  }

  ResponseStore responses() {
    return responses;
  }

  /** What it shares with other APIs of its model. */
  public ApiContext context() {
    return context;
  }

  public ApiConfig config() {
    return config;
  }

  public ServedModel model() {
    return model;
  }

  /** The figures of what is asked, to which others may be added. */
  public ServerMetrics metrics() {
    return context.metrics();
  }

  /** Whether requests for tokens are admitted. */
  public boolean ready() {
    return context.ready();
  }

  /** Whether the engine has died: only another process can help. */
  public boolean failed() {
    return model.engine().failed();
  }

  /** Stops admissions on every wire, for good; what runs and waits goes on. */
  public void drain() {
    model.engine().drain();
  }

  /**
   * Ends on every wire what still runs and waits, with an error to each client; nothing is admitted
   * afterwards.
   */
  public void end() {
    model.engine().close();
  }

  /**
   * Answers a chat completion.
   *
   * @param json the body, as of HTTP
   * @throws ApiException if it can't be run as it is, or fails before its stream has begun
   */
  public void chat(Call call, byte[] json) throws InterruptedException {
    context.requireReady();
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
    context.requireReady();
    TokenRequest request =
        context
            .intake()
            .read(
                length, fields, tree -> TokenRequest.read(new RequestFields(tree), config, model));
    String name = request.common().model();
    CompletionId named =
        id == null
            ? CompletionId.next("gen-", name, config, model)
            : CompletionId.of(id, name, config, model);
    GenerationReader reader =
        sequencing
            .submit(
                caller,
                request.common().generation(caller, named.id(), request.prompt(), request.params()),
                request.common().text(),
                new AnswerParts(model.markers(), request.thought(), true, 0, false),
                arrived)
            .tellingVersions(named::madeBy);
    try {
      out.started(named, request.prompt().length);
    } catch (RuntimeException e) {
      reader.cancel();
      throw e;
    }
    reader.readAll(new Forwarding(out));
    out.ended(
        named,
        reader.brokenKv(),
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
    Predicate<String> named = other -> CompletionId.isOf(id, other);
    try {
      return model.engine().abort(named).get() > 0;
    } catch (ExecutionException e) {
      throw ApiException.unavailable("The server is shutting down.");
    }
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
      return Json.parseObject(json.getBytes(StandardCharsets.UTF_8), name);
    } catch (ApiException e) {
      throw ApiException.invalid(name, String.valueOf(e.getMessage()));
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

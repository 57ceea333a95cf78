package io.tercel.server.openai;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.answer.Sequencing;
import io.tercel.server.call.Call;
import io.tercel.server.call.JsonIntake;
import io.tercel.server.engine.EngineEvent.PromptScored;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import io.tercel.server.model.ServedModel;
import io.tercel.server.openai.wire.ChatCompletion;
import io.tercel.server.openai.wire.ChatMessage;
import io.tercel.server.openai.wire.ToolCall;
import io.tercel.server.openai.wire.Usage;
import io.tercel.server.openai.wire.WeightVersion;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.ChatRequest;
import io.tercel.server.request.CompletionId;
import io.tercel.server.request.GatheredTokens;
import io.tercel.server.request.RequestFields;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code POST /v1/chat/completions}. */
final class ChatCompletionHandler implements Handler {
  private final ApiConfig config;
  private final ServedModel model;
  private final JsonIntake intake;
  private final Sequencing sequencing;
  private final Logprobs logprobs;
  private final GatheredTokens gathered;

  ChatCompletionHandler(ApiContext context) {
    this.config = context.config();
    this.model = context.model();
    this.intake = context.intake();
    this.gathered = context.gathered();
    this.sequencing = context.sequencing();
    this.logprobs = new Logprobs(model.tokenizer());
  }

  @Override
  public void handle(Exchange exchange) throws InterruptedException {
    long arrived = System.nanoTime();
    answer(exchange, exchange.read(intake, this::read), arrived);
  }

  /** Answers on any wire. */
  void answer(Call call, byte[] json) throws InterruptedException {
    long arrived = System.nanoTime();
    answer(call, intake.read(json, this::read), arrived);
  }

  private ChatRequest read(ObjectNode body) {
    return ChatRequest.read(new RequestFields(body), config, model);
  }

  private void answer(Call call, ChatRequest request, long arrived) throws InterruptedException {
    CompletionId id = CompletionId.next("chatcmpl-", request.common().model(), config, model);
    GenerationReader reader =
        sequencing
            .submit(
                call,
                request.common().generation(call, id.id(), request.prompt(), request.params()),
                request.common().text(),
                request.parts(),
                arrived)
            .tellingVersions(id::madeBy);
    if (request.common().stream()) {
      new ChatChunks(request, id, logprobs, call).send(reader);
    } else {
      Whole whole = new Whole(request);
      try (GatheredTokens.Share share = gathered.share()) {
        reader.readAll(share.counting(whole, whole.keepsTokens));
        call.json(200, whole.completion(id, usage(request, reader)));
      }
    }
  }

  static Usage usage(ChatRequest request, GenerationReader reader) {
    return Usage.of(
        request.prompt().length,
        reader.numTokens(),
        reader.cachedTokens(),
        reader.reasoningTokens());
  }

  static @Nullable List<Integer> promptIds(ChatRequest request) {
    return request.common().returned().tokenIds()
        ? Arrays.stream(request.prompt()).boxed().toList()
        : null;
  }

  /** Gathers an answer that isn't streamed. */
  private final class Whole implements GenerationReader.Sink {
    private final ChatRequest request;
    private final boolean keepsTokens;
    private final List<GatheredChoice> choices = new ArrayList<>();
    private @Nullable PromptScored scores;

    Whole(ChatRequest request) {
      this.request = request;
      this.keepsTokens = request.topLogprobs() >= 0 || request.common().returned().tokenIds();
      for (int i = 0; i < request.params().n(); i++) {
        choices.add(new GatheredChoice(keepsTokens));
      }
    }

    @Override
    public void promptScored(PromptScored scored) {
      scores = scored;
    }

    @Override
    public void delta(ChoiceDelta delta) {
      choices.get(delta.choice()).add(delta);
    }

    ChatCompletion completion(CompletionId id, Usage usage) {
      List<ChatCompletion.Choice> all = new ArrayList<>();
      for (int i = 0; i < choices.size(); i++) {
        all.add(choice(i, choices.get(i)));
      }
      return new ChatCompletion(
          id.id(),
          "chat.completion",
          id.created(),
          id.model(),
          all,
          usage,
          id.fingerprint(),
          scores == null ? null : logprobs.prompt(scores.tokens()),
          promptIds(request));
    }

    private ChatCompletion.Choice choice(int index, GatheredChoice choice) {
      String thought = choice.reasoning();
      String text = choice.text();
      List<ToolCall> calls = choice.toolCalls();
      int top = request.topLogprobs();
      return new ChatCompletion.Choice(
          index,
          ChatMessage.assistant(
              // null says that calls or the thought took all the tokens; "" that there was nothing
              // to say
              text.isEmpty() && !(thought.isEmpty() && calls.isEmpty()) ? null : text,
              thought.isEmpty() ? null : thought,
              calls),
          top < 0 ? null : logprobs.naming(request.common().returned()).chat(choice.tokens(), top),
          choice.end().finishReason(),
          choice.end().stopReason(),
          request.common().returned().tokenIds() ? Logprobs.ids(choice.tokens()) : null,
          WeightVersion.of(choice.weights(), request.common().returned().weightVersions()),
          request.common().returned().forced(choice.forced()));
    }
  }
}

package io.tercel.server.openai;

import io.tercel.server.answer.AnswerParts;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationGroup;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.answer.Sequencing;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.JsonIntake;
import io.tercel.server.engine.EngineEvent.PromptScored;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import io.tercel.server.http.SseWriter;
import io.tercel.server.model.ServedModel;
import io.tercel.server.openai.wire.TextCompletion;
import io.tercel.server.openai.wire.Usage;
import io.tercel.server.openai.wire.UsageSlot;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.CompletionId;
import io.tercel.server.request.GatheredTokens;
import io.tercel.server.request.RequestFields;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** {@code POST /v1/completions}. */
final class CompletionHandler implements Handler {
  private final ApiConfig config;
  private final ServedModel model;
  private final JsonIntake intake;
  private final Sequencing sequencing;
  private final Logprobs logprobs;
  private final GatheredTokens gathered;

  CompletionHandler(ApiContext context) {
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
    CompletionRequest request =
        exchange.read(
            intake, body -> CompletionRequest.read(new RequestFields(body), config, model));
    CompletionId id = CompletionId.next("cmpl-", request.common().model(), config, model);
    GenerationGroup group = submit(exchange, request, id, arrived);
    if (request.common().stream()) {
      stream(exchange, request, id, group);
    } else {
      whole(exchange, request, id, group);
    }
  }

  private GenerationGroup submit(
      Exchange exchange, CompletionRequest request, CompletionId id, long arrived) {
    List<Sequencing.Prompt> prompts = new ArrayList<>();
    for (CompletionRequest.Prompt prompt : request.prompts()) {
      boolean one = request.prompts().size() == 1;
      String part = one ? id.id() : CompletionId.part(id.id(), prompts.size());
      prompts.add(
          new Sequencing.Prompt(
              request.common().generation(exchange, part, prompt.ids(), prompt.params()),
              new AnswerParts(model.markers(), prompt.thought(), false, 0, false),
              request.common().text()));
    }
    GenerationGroup group = new GenerationGroup();
    sequencing
        .submit(exchange, prompts, arrived)
        .forEach(reader -> group.add(reader.tellingVersions(id::madeBy)));
    return group;
  }

  private void whole(
      Exchange exchange, CompletionRequest request, CompletionId id, GenerationGroup group)
      throws InterruptedException {
    boolean keepsTokens = request.logprobs() >= 0 || request.common().returned().tokenIds();
    List<Whole> parts = new ArrayList<>();
    List<GenerationReader.Sink> sinks = new ArrayList<>();
    try (GatheredTokens.Share share = gathered.share()) {
      for (int i = 0; i < request.prompts().size(); i++) {
        parts.add(new Whole(request, new CompletionPart(request, i, logprobs), keepsTokens));
        sinks.add(share.counting(parts.getLast(), keepsTokens));
      }
      group.readAll(sinks);
      List<TextCompletion.Choice> choices = new ArrayList<>();
      parts.forEach(part -> part.addTo(choices));
      exchange.json(200, answer(id, choices, new UsageSlot(usage(request, group))));
    }
  }

  private void stream(
      Exchange exchange, CompletionRequest request, CompletionId id, GenerationGroup group)
      throws InterruptedException {
    SseWriter sse = exchange.stream();
    boolean withUsage = request.common().includeUsage();
    List<Streamed> parts = new ArrayList<>();
    for (int i = 0; i < request.prompts().size(); i++) {
      CompletionPart part = new CompletionPart(request, i, logprobs);
      parts.add(
          new Streamed(
              request,
              part,
              choice ->
                  sse.event(answer(id, List.of(choice), withUsage ? UsageSlot.EMPTY : null))));
    }
    try {
      group.readAll(parts);
      if (withUsage) {
        sse.event(answer(id, List.of(), new UsageSlot(usage(request, group))));
      }
      sse.done();
    } catch (ApiException e) {
      sse.fail(e);
    }
  }

  private static TextCompletion answer(
      CompletionId id, List<TextCompletion.Choice> choices, @Nullable UsageSlot usage) {
    return new TextCompletion(
        id.id(), "text_completion", id.created(), id.model(), id.fingerprint(), choices, usage);
  }

  private static Usage usage(CompletionRequest request, GenerationGroup group) {
    int prompt = request.prompts().stream().mapToInt(p -> p.ids().length).sum();
    return Usage.of(
        prompt,
        request.echoOnly() ? 0 : group.numTokens(),
        group.cachedTokens(),
        group.reasoningTokens());
  }

  /** Gathers one prompt's choices. */
  private static final class Whole implements GenerationReader.Sink {
    private final CompletionPart part;
    private final List<GatheredChoice> choices = new ArrayList<>();

    Whole(CompletionRequest request, CompletionPart part, boolean keepsTokens) {
      this.part = part;
      for (int i = 0; i < request.common().n(); i++) {
        choices.add(new GatheredChoice(keepsTokens));
      }
    }

    @Override
    public void promptScored(PromptScored scores) {
      part.scored(scores);
    }

    @Override
    public void delta(ChoiceDelta delta) {
      choices.get(delta.choice()).add(delta);
    }

    void addTo(List<TextCompletion.Choice> all) {
      for (int i = 0; i < choices.size(); i++) {
        all.add(part.choice(choices.get(i).asDelta(i)));
      }
    }
  }

  /** Sends one prompt's choices as they come. */
  private record Streamed(
      CompletionRequest request, CompletionPart part, Consumer<TextCompletion.Choice> out)
      implements GenerationReader.Sink {

    @Override
    public void promptScored(PromptScored scores) {
      part.scored(scores);
    }

    @Override
    public void delta(ChoiceDelta delta) {
      if (!request.echoOnly() || delta.end() != null) {
        out.accept(part.choice(delta));
      }
    }
  }
}

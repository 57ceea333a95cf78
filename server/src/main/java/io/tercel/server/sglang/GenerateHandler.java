package io.tercel.server.sglang;

import io.tercel.server.answer.AnswerParts;
import io.tercel.server.answer.GenerationGroup;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.answer.Sequencing;
import io.tercel.server.call.ApiException;
import io.tercel.server.engine.InvalidRequestException;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import io.tercel.server.http.SseWriter;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.GatheredTokens;
import io.tercel.server.request.RequestFields;
import io.tercel.server.sglang.wire.Generated;
import java.util.ArrayList;
import java.util.List;

/** {@code POST /generate}: one prompt or many, whole or streamed. */
final class GenerateHandler implements Handler {
  private final ApiContext context;
  private final Sequencing sequencing;

  GenerateHandler(ApiContext context) {
    this.context = context;
    this.sequencing = context.sequencing();
  }

  @Override
  public void handle(Exchange exchange) throws InterruptedException {
    long arrived = System.nanoTime();
    GenerateRequest request =
        exchange.read(
            context.intake(), body -> GenerateFields.read(new RequestFields(body), context));
    GenerationGroup group = new GenerationGroup();
    submit(exchange, request, arrived).forEach(group::add);
    try (GatheredTokens.Share share = context.gathered().share()) {
      if (request.stream()) {
        stream(exchange, request, group, share, arrived);
      } else {
        whole(exchange, request, group, share, arrived);
      }
    }
  }

  private List<GenerationReader> submit(Exchange exchange, GenerateRequest request, long arrived) {
    List<Sequencing.Prompt> prompts = new ArrayList<>();
    for (GenerateRequest.Prompt prompt : request.prompts()) {
      prompts.add(
          new Sequencing.Prompt(
              prompt.common().generation(exchange, prompt.id(), prompt.ids(), prompt.params()),
              new AnswerParts(context.model().markers(), prompt.thought(), false, 0, false),
              prompt.common().text()));
    }
    try {
      return sequencing.submit(exchange, prompts, arrived);
    } catch (InvalidRequestException e) {
      throw GenerateFields.inOwnWords(ApiException.of(e), "sampling_params", "input_ids");
    }
  }

  private void whole(
      Exchange exchange,
      GenerateRequest request,
      GenerationGroup group,
      GatheredTokens.Share share,
      long arrived)
      throws InterruptedException {
    List<GeneratedPrompt> prompts = new ArrayList<>();
    List<GenerationReader.Sink> sinks = new ArrayList<>();
    for (GenerateRequest.Prompt prompt : request.prompts()) {
      prompts.add(new GeneratedPrompt(prompt, context.model(), arrived, _ -> {}));
      sinks.add(share.counting(prompts.getLast(), true));
    }
    group.readAll(sinks);
    List<Generated> answers = new ArrayList<>();
    prompts.forEach(prompt -> answers.addAll(prompt.answers()));
    exchange.json(200, request.listed() ? answers : answers.getFirst());
  }

  private void stream(
      Exchange exchange,
      GenerateRequest request,
      GenerationGroup group,
      GatheredTokens.Share share,
      long arrived)
      throws InterruptedException {
    SseWriter sse = exchange.stream();
    List<GenerationReader.Sink> sinks = new ArrayList<>();
    int first = 0;
    for (GenerateRequest.Prompt prompt : request.prompts()) {
      int before = first;
      GeneratedPrompt generated =
          new GeneratedPrompt(
              prompt,
              context.model(),
              arrived,
              choice ->
                  sse.event(choice.answer(request.listed() ? before + choice.index() : null)));
      sinks.add(share.counting(generated, true));
      first += prompt.params().n();
    }
    try {
      group.readAll(sinks);
      sse.done();
    } catch (ApiException e) {
      sse.fail(e);
    }
  }
}

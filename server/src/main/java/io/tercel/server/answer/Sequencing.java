package io.tercel.server.answer;

import io.tercel.server.call.ApiException;
import io.tercel.server.call.Caller;
import io.tercel.server.call.Rights;
import io.tercel.server.engine.Generation;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.ServedModel;
import io.tercel.server.text.OutputText;
import io.tercel.server.text.StopMatcher;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Submits prompts to the engine and reads what comes back; both completion routes use it. */
public final class Sequencing {
  private final ServedModel model;
  private final ServerMetrics metrics;

  public Sequencing(ServedModel model, ServerMetrics metrics) {
    this.model = model;
    this.metrics = metrics;
  }

  /**
   * Submits a request; from then on the client's leaving cancels it.
   *
   * @param parts what the outputs are taken apart into
   * @param arrived when the request came, by {@link System#nanoTime}
   * @throws ApiException if the caller may not go before others, but asks to
   */
  public GenerationReader submit(
      Caller caller, GenerationRequest request, TextRules text, AnswerParts parts, long arrived) {
    return submit(caller, List.of(new Prompt(request, parts, text)), arrived).getFirst();
  }

  /**
   * One of several prompts.
   *
   * @param parts what its outputs are taken apart into
   * @param text what of them becomes text
   */
  public record Prompt(GenerationRequest request, AnswerParts parts, TextRules text) {}

  /** Submits several prompts, all or none. */
  public List<GenerationReader> submit(Caller caller, List<Prompt> prompts, long arrived) {
    List<GenerationRequest> requests = prompts.stream().map(Prompt::request).toList();
    if (caller.rights() != Rights.ADMIN && requests.stream().anyMatch(r -> r.priority() < 0)) {
      throw ApiException.forbidden(
          "priority",
          "priority below 0 goes before other clients and needs the server's admin key"
              + " (--admin-key) in place of the API key; send 0 or more, or that key");
    }
    caller.record().reserve(requests.stream().mapToLong(Sequencing::most).sum());
    List<Generation> generations = model.engine().submit(requests);
    List<GenerationReader> readers = new ArrayList<>();
    for (int i = 0; i < requests.size(); i++) {
      readers.add(reader(caller, prompts.get(i), generations.get(i), arrived));
    }
    return readers;
  }

  /** Tokens that a prompt and what may follow it have together. */
  private static long most(GenerationRequest request) {
    SamplingParams params = request.params();
    return request.promptTokens().length + (long) params.n() * params.ending().maxTokens();
  }

  private GenerationReader reader(
      Caller caller, Prompt prompt, Generation generation, long arrived) {
    GenerationRequest request = prompt.request();
    AnswerParts parts = prompt.parts();
    TextRules text = prompt.text();
    SamplingParams params = request.params();
    caller.whenGone(generation::cancel);
    caller.record().whenRevoked(generation::cancel);
    caller.record().usage().submitted(request.promptTokens().length, params.n());
    metrics.prompt(request.promptTokens().length, params);
    ChoiceReader.EndTokens endTokens =
        new ChoiceReader.EndTokens(
            params.ending().ignoreEos() ? Set.of() : model.eosTokenIds(),
            params.ending().stopTokenIds(),
            text.includeStop());
    List<ChoiceReader> choices = new ArrayList<>(params.n());
    for (int i = 0; i < params.n(); i++) {
      OutputText output =
          new OutputText(
              model.tokenizer().detokenizer(text.skipSpecialTokens()),
              parts.reasoning(),
              new StopMatcher(text.stops(), text.includeStop()),
              params.ending().minTokens(),
              parts.splits());
      choices.add(new ChoiceReader(i, output, parts.toolCalls(), endTokens));
    }
    return new GenerationReader(generation, choices, metrics, caller, arrived);
  }
}

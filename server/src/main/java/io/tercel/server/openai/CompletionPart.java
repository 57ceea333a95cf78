package io.tercel.server.openai;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.ChoiceEnd;
import io.tercel.server.engine.EngineEvent.PromptScored;
import io.tercel.server.openai.wire.TextCompletion;
import io.tercel.server.openai.wire.WeightVersion;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One prompt's share of a text completion: makes its choices as clients see them. */
final class CompletionPart {
  private final CompletionRequest request;
  private final CompletionRequest.Prompt prompt;
  private final int firstIndex;
  private final Logprobs logprobs;
  private final TextLogprobsBuilder[] builders;
  private final boolean[] begun;
  private @Nullable PromptScored scores;

  /**
   * For the prompt of that index.
   *
   * @param promptIndex in the request; the choices of earlier prompts come before its own
   */
  CompletionPart(CompletionRequest request, int promptIndex, Logprobs logprobs) {
    this.request = request;
    this.prompt = request.prompts().get(promptIndex);
    this.firstIndex = promptIndex * request.common().n();
    this.logprobs = logprobs.naming(request.common().returned());
    this.begun = new boolean[request.common().n()];
    this.builders = new TextLogprobsBuilder[request.common().n()];
    for (int i = 0; i < builders.length; i++) {
      builders[i] =
          new TextLogprobsBuilder(
              this.logprobs,
              Math.max(0, request.logprobs()),
              request.common().text().skipSpecialTokens());
    }
  }

  void scored(PromptScored scored) {
    scores = scored;
  }

  /** A delta as a choice; the first one of a choice brings what belongs to the prompt. */
  TextCompletion.Choice choice(ChoiceDelta delta) {
    boolean first = !begun[delta.choice()];
    begun[delta.choice()] = true;
    List<TokenResult> tokens = request.echoOnly() ? List.of() : delta.tokens();
    String text = request.echoOnly() ? "" : delta.text();
    ChoiceEnd end = delta.end();
    TextLogprobsBuilder builder = builders[delta.choice()];
    if (first && request.echo() && request.logprobs() >= 0) {
      builder.addPrompt(prompt.ids(), prompt.text(), scores == null ? List.of() : scores.tokens());
    }
    if (request.logprobs() >= 0) {
      builder.add(tokens, text, end != null);
    }
    if (first && request.echo()) {
      text = prompt.text() + text;
    }
    boolean ids = request.common().returned().tokenIds();
    return new TextCompletion.Choice(
        firstIndex + delta.choice(),
        text,
        request.logprobs() < 0 ? null : builder.take(),
        end == null ? null : request.echoOnly() ? "length" : end.finishReason(),
        end == null || request.echoOnly() ? null : end.stopReason(),
        first && scores != null && request.common().promptLogprobs() >= 0
            ? logprobs.prompt(scores.tokens())
            : null,
        first && ids ? Arrays.stream(prompt.ids()).boxed().toList() : null,
        ids ? Logprobs.ids(tokens) : null,
        WeightVersion.of(
            request.echoOnly() ? List.of() : delta.weights(),
            request.common().returned().weightVersions()),
        request.common().returned().forced(request.echoOnly() ? List.of() : delta.forced()));
  }
}

package io.tercel.server.sglang;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.engine.EngineEvent.PromptScored;
import io.tercel.server.engine.EngineEvent.Started;
import io.tercel.server.model.ServedModel;
import io.tercel.server.sglang.wire.Generated;
import io.tercel.server.sglang.wire.TokenScore;
import io.tercel.server.text.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One prompt's choices on their way to answers. Used by one thread. */
final class GeneratedPrompt implements GenerationReader.Sink {
  /** JSON has no infinities. */
  private static final float LOWEST = -9999;

  private final GenerateRequest.Prompt prompt;
  private final Tokenizer tokenizer;
  private final Consumer<GeneratedChoice> out;
  private final List<GeneratedChoice> choices = new ArrayList<>();
  private List<TokenScore> input = List.of();
  private List<@Nullable List<TokenScore>> inputTop = List.of();
  private int cachedTokens;

  /**
   * Of a prompt that has been submitted.
   *
   * @param arrived when, by {@link System#nanoTime}
   * @param out gets a choice whenever there is more of it than so many tokens, and when it has
   *     ended
   */
  GeneratedPrompt(
      GenerateRequest.Prompt prompt,
      ServedModel model,
      long arrived,
      Consumer<GeneratedChoice> out) {
    this.prompt = prompt;
    this.tokenizer = model.tokenizer();
    this.out = out;
    long version = model.engine().stats().weightVersion();
    for (int i = 0; i < prompt.params().n(); i++) {
      choices.add(new GeneratedChoice(this, i, version, arrived));
    }
  }

  @Override
  public void started(Started started) {
    if (started.choice() == 0) {
      cachedTokens = started.cachedTokens();
    }
  }

  /** From the first that is told of on; that one's own log-prob is null, as SGLang has it. */
  @Override
  public void promptScored(PromptScored scores) {
    int from = prompt.scored().from();
    input = new ArrayList<>();
    inputTop = new ArrayList<>();
    for (int i = from; i < prompt.ids().length; i++) {
      if (i == from) {
        input.add(new TokenScore(null, prompt.ids()[i], text(prompt.ids()[i])));
        inputTop.add(null);
      } else {
        TokenResult score = scores.tokens().get(i - 1);
        input.add(score(score.tokenId(), score.logprob()));
        inputTop.add(top(score));
      }
    }
  }

  @Override
  public void delta(ChoiceDelta delta) {
    GeneratedChoice choice = choices.get(delta.choice());
    choice.add(delta);
    if (delta.end() != null || choice.unsent() >= prompt.interval()) {
      out.accept(choice);
      choice.sent();
    }
  }

  /** Of all choices, which have ended. */
  List<Generated> answers() {
    return choices.stream().map(choice -> choice.answer(null)).toList();
  }

  GenerateRequest.Prompt prompt() {
    return prompt;
  }

  int cachedTokens() {
    return cachedTokens;
  }

  /** Log-probs of the prompt and of an output, where any are wanted. */
  Generated.@Nullable Scores scores(List<TokenResult> output) {
    if (!prompt.scored().wanted()) {
      return null;
    }
    boolean top = prompt.scored().top() > 0;
    return new Generated.Scores(
        input,
        output.stream().map(token -> score(token.tokenId(), token.logprob())).toList(),
        top ? inputTop : null,
        top ? output.stream().map(this::top).toList() : null);
  }

  private TokenScore score(int id, float logprob) {
    return new TokenScore(logprob >= LOWEST ? logprob : LOWEST, id, text(id)); // NaN too
  }

  private List<TokenScore> top(TokenResult token) {
    return token.top().stream().map(top -> score(top.tokenId(), top.logprob())).toList();
  }

  private @Nullable String text(int id) {
    return prompt.scored().texts() ? tokenizer.tokenText(id) : null;
  }
}

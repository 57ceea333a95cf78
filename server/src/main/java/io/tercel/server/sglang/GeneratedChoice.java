package io.tercel.server.sglang;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.ChoiceEnd;
import io.tercel.server.answer.WeightRun;
import io.tercel.server.sglang.wire.FinishReason;
import io.tercel.server.sglang.wire.Generated;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A choice as far as it has come. */
final class GeneratedChoice {
  private final GeneratedPrompt prompt;
  private final int index;
  private final long arrived;
  private final StringBuilder text = new StringBuilder();
  private final List<TokenResult> tokens = new ArrayList<>();
  private final List<Integer> forced = new ArrayList<>();
  private List<WeightRun> weights = List.of();
  private long weightVersion;
  private @Nullable ChoiceEnd end;
  private int sent;

  /**
   * Of a choice that has not begun.
   *
   * @param weightVersion of the weights that are served
   * @param arrived when its request came, by {@link System#nanoTime}
   */
  GeneratedChoice(GeneratedPrompt prompt, int index, long weightVersion, long arrived) {
    this.prompt = prompt;
    this.index = index;
    this.weightVersion = weightVersion;
    this.arrived = arrived;
  }

  void add(ChoiceDelta delta) {
    text.append(delta.text());
    tokens.addAll(delta.tokens());
    forced.addAll(delta.forced());
    weights = WeightRun.joined(weights, delta.weights());
    if (!weights.isEmpty()) {
      weightVersion = weights.getLast().version();
    }
    end = delta.end();
  }

  /** Among the choices of its prompt. */
  int index() {
    return index;
  }

  /** Tokens since it was last sent. */
  int unsent() {
    return tokens.size() - sent;
  }

  /** All that there is was sent. */
  void sent() {
    sent = tokens.size();
  }

  /**
   * All of it, from its beginning.
   *
   * @param place among the answers of a streamed request of several; else null
   */
  Generated answer(@Nullable Integer place) {
    GenerateRequest.Prompt asked = prompt.prompt();
    return new Generated(
        text.toString(),
        tokens.stream().map(TokenResult::tokenId).toList(),
        new Generated.MetaInfo(
            asked.id(),
            finishReason(),
            asked.ids().length,
            tokens.size(),
            prompt.cachedTokens(),
            weightVersion,
            end == null ? null : (System.nanoTime() - arrived) / 1e9,
            asked.common().returned().weightVersions() ? versions() : null,
            asked.common().returned().forced(List.copyOf(forced)),
            prompt.scores(tokens)),
        place);
  }

  private List<Generated.VersionRun> versions() {
    return weights.stream()
        .map(run -> new Generated.VersionRun(run.version(), run.tokens()))
        .toList();
  }

  /** What matched is the text or the id that ended it, be it the model's own end token. */
  private @Nullable FinishReason finishReason() {
    ChoiceEnd known = end;
    if (known == null) {
      return null;
    }
    return switch (known.finishReason()) {
      case "length" -> FinishReason.length(tokens.size());
      case "abort" -> FinishReason.abort();
      default -> {
        Object matched = known.stopReason();
        yield FinishReason.stop(
            matched == null && !tokens.isEmpty() ? tokens.getLast().tokenId() : matched);
      }
    };
  }
}

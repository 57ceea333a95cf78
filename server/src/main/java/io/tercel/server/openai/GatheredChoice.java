package io.tercel.server.openai;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.ChoiceEnd;
import io.tercel.server.answer.WeightRun;
import io.tercel.server.openai.wire.ToolCall;
import io.tercel.server.request.CompletionId;
import io.tercel.server.text.OutputPart;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** All deltas of a choice put together. */
final class GatheredChoice {
  private final StringBuilder text = new StringBuilder();
  private final StringBuilder reasoning = new StringBuilder();
  private final List<TokenResult> tokens = new ArrayList<>();
  private final List<ToolCall> calls = new ArrayList<>();
  private final boolean keepsTokens;
  private List<WeightRun> weights = List.of();
  private final List<Integer> forced = new ArrayList<>();
  private @Nullable ChoiceEnd end;

  /**
   * Of a choice that has not begun.
   *
   * @param keepsTokens whether the tokens are asked for besides their text
   */
  GatheredChoice(boolean keepsTokens) {
    this.keepsTokens = keepsTokens;
  }

  void add(ChoiceDelta delta) {
    for (OutputPart part : delta.parts()) {
      switch (part) {
        case OutputPart.Thought(String more) -> reasoning.append(more);
        case OutputPart.Text(String more) -> text.append(more);
        case OutputPart.Call call -> calls.add(toolCall(null, call));
      }
    }
    if (keepsTokens) {
      tokens.addAll(delta.tokens());
    }
    weights = WeightRun.joined(weights, delta.weights());
    forced.addAll(delta.forced());
    if (delta.end() != null) {
      end = delta.end();
    }
  }

  /** The tool calls, with ids of their own. */
  List<ToolCall> toolCalls() {
    return List.copyOf(calls);
  }

  /**
   * A call as clients get it, with an id of its own.
   *
   * @param index within the choice, where it is streamed
   */
  static ToolCall toolCall(@Nullable Integer index, OutputPart.Call call) {
    return new ToolCall(
        index,
        CompletionId.unique("call_"),
        "function",
        new ToolCall.Function(call.name(), call.arguments()));
  }

  /** All of it but tool calls, which a completion has none of, as one delta of the choice. */
  ChoiceDelta asDelta(int choice) {
    return new ChoiceDelta(
        choice,
        List.of(new OutputPart.Thought(reasoning()), new OutputPart.Text(text())),
        tokens,
        weights,
        forced,
        end());
  }

  String text() {
    return text.toString();
  }

  String reasoning() {
    return reasoning.toString();
  }

  List<TokenResult> tokens() {
    return tokens;
  }

  /** Which weights made its tokens, kept or not. */
  List<WeightRun> weights() {
    return weights;
  }

  /** Places of its forced tokens. */
  List<Integer> forced() {
    return forced;
  }

  /** How it ended; to be asked when it has. */
  ChoiceEnd end() {
    ChoiceEnd known = end;
    if (known == null) {
      throw new IllegalStateException("a choice has no end yet");
    }
    return known;
  }
}

package io.tercel.server.openai;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.ChoiceEnd;
import io.tercel.server.openai.wire.ToolCall;
import io.tercel.server.text.ToolCallParser.CallDelta;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** All deltas of a choice put together. */
final class GatheredChoice {
  private final StringBuilder text = new StringBuilder();
  private final StringBuilder reasoning = new StringBuilder();
  private final List<TokenResult> tokens = new ArrayList<>();
  private final List<String> callNames = new ArrayList<>();
  private final List<StringBuilder> callArguments = new ArrayList<>();
  private final boolean keepsTokens;
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
    text.append(delta.text());
    reasoning.append(delta.reasoning());
    delta.calls().forEach(this::call);
    if (keepsTokens) {
      tokens.addAll(delta.tokens());
    }
    if (delta.end() != null) {
      end = delta.end();
    }
  }

  private void call(CallDelta delta) {
    if (delta.name() != null) {
      callNames.add(delta.name());
      callArguments.add(new StringBuilder());
    }
    callArguments.get(delta.index()).append(delta.arguments());
  }

  /** The tool calls, with ids of their own. */
  List<ToolCall> toolCalls() {
    List<ToolCall> calls = new ArrayList<>();
    for (int i = 0; i < callNames.size(); i++) {
      ToolCall.Function function =
          new ToolCall.Function(callNames.get(i), callArguments.get(i).toString());
      calls.add(new ToolCall(null, CompletionId.toolCall(), "function", function));
    }
    return calls;
  }

  /** All of it but tool calls, which a completion has none of, as one delta of the choice. */
  ChoiceDelta asDelta(int choice) {
    return new ChoiceDelta(choice, reasoning(), text(), List.of(), tokens, end());
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

  /** How it ended; to be asked when it has. */
  ChoiceEnd end() {
    ChoiceEnd known = end;
    if (known == null) {
      throw new IllegalStateException("a choice has no end yet");
    }
    return known;
  }
}

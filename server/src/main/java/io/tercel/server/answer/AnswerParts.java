package io.tercel.server.answer;

import io.tercel.server.text.OutputText;
import io.tercel.server.text.PromptThought;
import io.tercel.server.text.ReasoningParser;
import io.tercel.server.text.ReasoningParser.Markers;
import io.tercel.server.text.ToolCallParser;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What an output is taken apart into, besides text.
 *
 * @param markers around a thought; null for a model that doesn't think aloud
 * @param thought how far the prompt has come
 * @param splits whether the thought is told apart from the answer; else its tokens are only counted
 * @param maxToolCalls tool calls to look for, 0 where they are text like any other
 * @param eitherCallsOrText whether an answer that doesn't begin with a call has none, as where it
 *     has a form: what looks like one within it is what the form says
 */
public record AnswerParts(
    @Nullable Markers markers,
    PromptThought thought,
    boolean splits,
    int maxToolCalls,
    boolean eitherCallsOrText) {

  /** What tells thought from answer in {@link OutputText}, where anything does. */
  Optional<ReasoningParser> reasoning() {
    return Optional.ofNullable(markers).map(m -> new ReasoningParser(m, thought));
  }

  /** Whether the token is a marker and no part of any text. */
  public boolean isMarker(int id) {
    return markers != null && (id == markers.openId() || id == markers.closeId());
  }

  @Nullable ToolCallParser toolCalls() {
    return maxToolCalls == 0 ? null : new ToolCallParser(maxToolCalls, eitherCallsOrText);
  }
}

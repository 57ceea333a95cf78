package io.tercel.server.answer;

import io.tercel.server.text.OutputText;
import io.tercel.server.text.ReasoningParser;
import io.tercel.server.text.ReasoningParser.Markers;
import io.tercel.server.text.ToolCallParser;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What an output is taken apart into, besides text.
 *
 * @param markers where a thought is to be split off, else null
 * @param startsThinking whether the prompt leaves the thought open
 * @param maxToolCalls tool calls to look for, 0 where they are text like any other
 */
public record AnswerParts(@Nullable Markers markers, boolean startsThinking, int maxToolCalls) {
  /** All is text. */
  public static final AnswerParts PLAIN = new AnswerParts(null, false, 0);

  /** What splits thought from answer in {@link OutputText}, where anything does. */
  Optional<ReasoningParser> reasoning() {
    return Optional.ofNullable(markers).map(m -> new ReasoningParser(m, startsThinking));
  }

  /** Whether the token is a marker and no part of any text. */
  public boolean isMarker(int id) {
    return markers != null && (id == markers.openId() || id == markers.closeId());
  }

  @Nullable ToolCallParser toolCalls() {
    return maxToolCalls == 0 ? null : new ToolCallParser(maxToolCalls);
  }
}

package io.tercel.server.answer;

import com.fasterxml.jackson.annotation.JsonValue;
import org.jspecify.annotations.Nullable;

/**
 * How a choice ended.
 *
 * @param finishReason stop, length, tool_calls or abort
 * @param stopReason the stop string, or the id among the request's stop_token_ids, or a {@link
 *     Cause}; else null
 */
public record ChoiceEnd(String finishReason, @Nullable Object stopReason) {
  /** Whether the model came to an end by itself: neither the length nor an abort cut it off. */
  public boolean complete() {
    return finishReason.equals("stop") || finishReason.equals("tool_calls");
  }

  /** Why a choice was stopped that neither the model nor its request stopped. */
  public enum Cause {
    /** The answer went round in circles. */
    REPETITION("repetition");

    private final String label;

    Cause(String label) {
      this.label = label;
    }

    /** As clients see it. */
    @JsonValue
    public String label() {
      return label;
    }
  }
}

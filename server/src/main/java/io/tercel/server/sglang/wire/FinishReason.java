package io.tercel.server.sglang.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import org.jspecify.annotations.Nullable;

/**
 * How an answer ended.
 *
 * @param type stop, length or abort
 * @param matched of a stop: the id or the text that ended it
 * @param length of one that was cut: how many tokens it has
 * @param message of an abort
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record FinishReason(
    String type, @Nullable Object matched, @Nullable Integer length, @Nullable String message) {

  public static FinishReason stop(@Nullable Object matched) {
    return new FinishReason("stop", matched, null, null);
  }

  public static FinishReason length(int tokens) {
    return new FinishReason("length", null, tokens, null);
  }

  public static FinishReason abort() {
    return new FinishReason("abort", null, null, "The request was ended by the operator.");
  }
}

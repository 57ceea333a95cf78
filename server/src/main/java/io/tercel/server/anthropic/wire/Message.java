package io.tercel.server.anthropic.wire;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The assistant's answer; in a stream's first event, without content and ends.
 *
 * @param stopReason null while it goes on
 * @param stopSequence the one that ended it
 * @param stopDetails always null: nothing is refused here
 */
public record Message(
    String id,
    String type,
    String role,
    String model,
    List<ContentBlock> content,
    @JsonProperty("stop_reason") @Nullable String stopReason,
    @JsonProperty("stop_sequence") @Nullable String stopSequence,
    @JsonProperty("stop_details") @Nullable Object stopDetails,
    MessageUsage usage) {

  /** One that has begun, or ended. */
  public static Message of(
      String id,
      String model,
      List<ContentBlock> content,
      @Nullable Stop stop,
      MessageUsage usage) {
    return new Message(
        id,
        "message",
        "assistant",
        model,
        content,
        stop == null ? null : stop.reason(),
        stop == null ? null : stop.sequence(),
        null,
        usage);
  }
}

package io.tercel.server.anthropic.wire;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.jspecify.annotations.Nullable;

/**
 * How a message ended.
 *
 * @param sequence of the request's stop sequences, the one that ended it
 * @param details always null: nothing is refused here
 */
public record Stop(
    @JsonProperty("stop_reason") String reason,
    @JsonProperty("stop_sequence") @Nullable String sequence,
    @JsonProperty("stop_details") @Nullable Object details) {
  public Stop(String reason, @Nullable String sequence) {
    this(reason, sequence, null);
  }
}

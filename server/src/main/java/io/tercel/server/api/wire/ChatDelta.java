package io.tercel.server.api.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import org.jspecify.annotations.Nullable;

/** What a chunk adds to a message; absent fields add nothing. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ChatDelta(
    @Nullable String role,
    @Nullable String content,
    @Nullable String reasoning,
    @JsonProperty("reasoning_content") @Nullable String reasoningContent) {
  public static final ChatDelta EMPTY = new ChatDelta(null, null, null, null);

  /** The first delta of a choice. */
  public static final ChatDelta ROLE = new ChatDelta("assistant", "", null, null);

  /** Empty strings count as nothing. */
  public static ChatDelta of(String content, String reasoning) {
    String thought = reasoning.isEmpty() ? null : reasoning;
    return new ChatDelta(null, content.isEmpty() ? null : content, thought, thought);
  }
}

package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a chunk adds to a message; absent fields add nothing. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ChatDelta(
    @Nullable String role,
    @Nullable String content,
    @Nullable String reasoning,
    @JsonProperty("reasoning_content") @Nullable String reasoningContent,
    @JsonProperty("tool_calls") @Nullable List<ToolCall> toolCalls) {
  public static final ChatDelta EMPTY = new ChatDelta(null, null, null, null, null);

  /** The first delta of a choice. */
  public static final ChatDelta ROLE = new ChatDelta("assistant", "", null, null, null);

  /** What is empty counts as nothing. */
  public static ChatDelta of(String content, String reasoning, List<ToolCall> toolCalls) {
    String thought = reasoning.isEmpty() ? null : reasoning;
    return new ChatDelta(
        null,
        content.isEmpty() ? null : content,
        thought,
        thought,
        toolCalls.isEmpty() ? null : toolCalls);
  }
}

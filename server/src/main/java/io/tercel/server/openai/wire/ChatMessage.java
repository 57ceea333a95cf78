package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the assistant said, and thought.
 *
 * @param content null when it only thought or called tools
 * @param toolCalls null when there are none
 * @param reasoning the same as reasoningContent: both spellings are in use
 */
public record ChatMessage(
    String role,
    @Nullable String content,
    @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String reasoning,
    @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("reasoning_content")
        @Nullable String reasoningContent,
    @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("tool_calls")
        @Nullable List<ToolCall> toolCalls,
    @Nullable String refusal) {

  public static ChatMessage assistant(
      @Nullable String content, @Nullable String reasoning, List<ToolCall> toolCalls) {
    List<ToolCall> calls = toolCalls.isEmpty() ? null : toolCalls;
    return new ChatMessage("assistant", content, reasoning, reasoning, calls, null);
  }
}

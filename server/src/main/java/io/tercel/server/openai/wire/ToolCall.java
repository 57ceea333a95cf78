package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import org.jspecify.annotations.Nullable;

/**
 * A call of a function that the model wants made; in a stream too it comes whole.
 *
 * @param index of the call within the choice; in streams only
 * @param id that the tool's answer refers to
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ToolCall(
    @Nullable Integer index, @Nullable String id, @Nullable String type, Function function) {

  /**
   * Which function, with what.
   *
   * @param arguments a JSON object as text, as the model wrote it
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Function(@Nullable String name, String arguments) {}
}

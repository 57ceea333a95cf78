package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import org.jspecify.annotations.Nullable;

/**
 * A call of a function that the model wants made. In a stream the first delta of a call has its id,
 * type and name, later ones more of the arguments only.
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
   * @param arguments a JSON object as text, as the model wrote it; in a stream a part of it
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Function(@Nullable String name, String arguments) {}
}

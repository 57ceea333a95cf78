package io.tercel.server.text;

/** A piece of a choice's output, as clients read it; pieces come in the order of the output. */
public sealed interface OutputPart {
  /** More of the thought. */
  record Thought(String text) implements OutputPart {}

  /** More of the answer's text. */
  record Text(String text) implements OutputPart {}

  /**
   * A tool call, whole.
   *
   * @param index within the choice, from 0
   * @param name of the function
   * @param arguments as the model wrote them, which should be JSON
   */
  record Call(int index, String name, String arguments) implements OutputPart {}
}

package io.tercel.server.anthropic.wire;

import com.fasterxml.jackson.databind.node.ObjectNode;
import org.jspecify.annotations.Nullable;

/** One block of a message's content: a thought, a text or a call of a tool. */
public sealed interface ContentBlock {

  /**
   * What the model thought.
   *
   * @param thinking empty where the client wants it omitted
   * @param signature to be sent back with it
   */
  record Thinking(String type, String thinking, String signature) implements ContentBlock {
    public Thinking(String thinking, String signature) {
      this("thinking", thinking, signature);
    }
  }

  /**
   * What the model said.
   *
   * @param citations always null
   */
  record Text(String type, String text, @Nullable Object citations) implements ContentBlock {
    public Text(String text) {
      this("text", text, null);
    }
  }

  /**
   * A call of a tool that the model wants made.
   *
   * @param id that the tool's result refers to
   */
  record ToolUse(String type, String id, String name, ObjectNode input, Caller caller)
      implements ContentBlock {
    public ToolUse(String id, String name, ObjectNode input) {
      this("tool_use", id, name, input, Caller.DIRECT);
    }
  }

  /** Who calls a tool: always the model itself. */
  record Caller(String type) {
    static final Caller DIRECT = new Caller("direct");
  }
}

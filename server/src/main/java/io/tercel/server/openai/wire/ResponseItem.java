package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One item of a response's output: a thought, a message or a function call. */
public sealed interface ResponseItem {

  /** Of an item that is being written. */
  String IN_PROGRESS = "in_progress";

  /** Of an item that was written to its end. */
  String COMPLETED = "completed";

  /** Of an item that broke off. */
  String INCOMPLETE = "incomplete";

  String id();

  /**
   * What the model thought.
   *
   * @param summary always empty: thoughts are given whole
   */
  record Reasoning(
      String id, String type, String status, List<Object> summary, List<ReasoningText> content)
      implements ResponseItem {
    public Reasoning(String id, String status, List<ReasoningText> content) {
      this(id, "reasoning", status, List.of(), content);
    }
  }

  /** The text of a thought. */
  record ReasoningText(String type, String text) {
    public ReasoningText(String text) {
      this("reasoning_text", text);
    }
  }

  /** What the model said. */
  record Message(String id, String type, String status, String role, List<OutputText> content)
      implements ResponseItem {
    public Message(String id, String status, List<OutputText> content) {
      this(id, "message", status, "assistant", content);
    }
  }

  /**
   * The text of a message.
   *
   * @param annotations always empty
   * @param logprobs null where they were not asked for
   */
  record OutputText(
      String type,
      String text,
      List<Object> annotations,
      @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable List<ChatLogprobs.Entry> logprobs) {
    public OutputText(String text, @Nullable List<ChatLogprobs.Entry> logprobs) {
      this("output_text", text, List.of(), logprobs);
    }
  }

  /**
   * A call of a function that the model wants made.
   *
   * @param callId that the tool's answer refers to
   * @param arguments a JSON object as text, as the model wrote it
   */
  record FunctionCall(
      String id,
      String type,
      String status,
      @JsonProperty("call_id") String callId,
      String name,
      String arguments)
      implements ResponseItem {
    public FunctionCall(String id, String status, String callId, String name, String arguments) {
      this(id, "function_call", status, callId, name, arguments);
    }
  }
}

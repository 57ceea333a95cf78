package io.tercel.trainer.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.UserException;
import io.tercel.trainer.files.JsonLine;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The messages of a line, as OpenAI's API has them: roles and contents. */
record Conversation(List<Map<String, Object>> messages, List<Integer> targets) {
  private static final String REASONING = "reasoning_content";

  /**
   * Reads a line's {@code messages}. An assistant's messages are targets, unless their {@code
   * weight} is 0, as in OpenAI's fine-tuning files.
   *
   * @throws UserException naming message and field
   */
  static Conversation of(JsonLine line) {
    List<Map<String, Object>> messages = new ArrayList<>();
    List<Integer> targets = new ArrayList<>();
    for (JsonNode message : line.list("messages")) {
      String at = "messages[" + messages.size() + "]";
      String role = message.path("role").asText();
      if (!List.of("system", "developer", "user", "assistant", "tool").contains(role)) {
        throw line.refuse(at + ".role", "is no system, user, assistant or tool");
      }
      if (message.hasNonNull("tool_calls")) {
        throw line.refuse(at + ".tool_calls", "can't be learnt; take such lines out");
      }
      boolean assistant = role.equals("assistant");
      String content = content(line, at, message.path("content"));
      if (assistant && learnable(message, content)) {
        targets.add(messages.size());
      }
      Map<String, Object> read = new LinkedHashMap<>();
      read.put("role", role);
      read.put("content", content);
      JsonNode reasoning = message.path(REASONING);
      if (assistant && reasoning.isTextual() && !reasoning.textValue().isBlank()) {
        read.put(REASONING, reasoning.textValue());
      }
      messages.add(read);
    }
    if (messages.isEmpty()) {
      throw line.refuse("messages", "is empty");
    }
    return new Conversation(messages, targets);
  }

  /** Not what its weight takes out, and no thought that was cut off. */
  private static boolean learnable(JsonNode message, String content) {
    boolean out = message.path("weight").isNumber() && message.get("weight").asInt() == 0;
    return !out
        && !content.isBlank()
        && (content.contains("</think>") || !content.contains("<think>"));
  }

  private static String content(JsonLine line, String at, JsonNode content) {
    if (content.isTextual()) {
      return content.textValue();
    }
    if (!content.isArray()) {
      throw line.refuse(at + ".content", "is no text");
    }
    StringBuilder text = new StringBuilder();
    for (JsonNode part : content) {
      if (!part.path("text").isTextual()) {
        throw line.refuse(at + ".content", "has a part without text; only text is learnt");
      }
      text.append(part.get("text").textValue());
    }
    return text.toString();
  }

  /** The target of that number. */
  TrainedTurn turn(int target) {
    int at = targets.get(target);
    Map<String, Object> message = messages.get(at);
    @Nullable Object thought = message.get(REASONING);
    return new TrainedTurn(
        messages.subList(0, at),
        thought == null ? null : thought.toString(),
        String.valueOf(message.get("content")));
  }

  /** The messages up to the last that is not the assistant's: what there is to answer. */
  List<Map<String, Object>> question() {
    int end = messages.size();
    while (end > 0 && "assistant".equals(messages.get(end - 1).get("role"))) {
      end--;
    }
    return messages.subList(0, end);
  }
}

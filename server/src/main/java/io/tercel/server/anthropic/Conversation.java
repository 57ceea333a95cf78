package io.tercel.server.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.anthropic.Blocks.Block;
import io.tercel.server.call.ApiException;
import io.tercel.server.request.RequestFields;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Puts the field {@code messages} into the messages that templates know. Messages of one role in a
 * row are one turn. A user's turn becomes a tool's message for each result in it, in their order,
 * and then its text; an assistant's becomes thought, text and calls. Each call must have its result
 * in the turn behind it, and no other.
 */
final class Conversation {
  private static final Set<String> ROLES = Set.of("user", "assistant", "system");
  private static final Set<String> USER = Set.of("text", "tool_result");
  private static final Set<String> ASSISTANT =
      Set.of("text", "thinking", "redacted_thinking", "tool_use");
  private static final String TEXT = "text";

  /** Messages of one role in a row. */
  private record Turn(String role, String path, List<Block> blocks) {}

  private final ArrayNode messages;

  /** Names of the tools whose results must follow, by the ids of the calls. */
  private final Map<String, String> called = new LinkedHashMap<>();

  private String callsPath = "messages";
  private boolean endsWithAssistant;

  private Conversation(ArrayNode messages) {
    this.messages = messages;
  }

  /**
   * Reads the field.
   *
   * @param messages gets them
   * @return whether the last is the assistant's, which is then to be continued
   * @throws ApiException that names the block to blame
   */
  static boolean read(RequestFields fields, ArrayNode messages) {
    Conversation conversation = new Conversation(messages);
    for (Turn turn : turns(fields)) {
      conversation.add(turn);
    }
    conversation.requireResults();
    return conversation.endsWithAssistant;
  }

  private static List<Turn> turns(RequestFields fields) {
    fields.require("messages");
    ArrayNode array = fields.array("messages");
    if (array == null || array.isEmpty()) {
      throw ApiException.invalid("messages", "messages must have at least one message");
    }
    List<Turn> turns = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      String path = "messages." + i;
      RequestFields message = RequestFields.of(array.get(i), path);
      String role = RequestFields.string(message.require("role"), message.path("role"));
      if (!ROLES.contains(role)) {
        throw ApiException.invalid(
            message.path("role"),
            "%s must be user or assistant, not '%s'"
                .formatted(
                    message.path("role"), role.length() > 40 ? role.substring(0, 40) + "…" : role));
      }
      Set<String> types =
          switch (role) {
            case "user" -> USER;
            case "assistant" -> ASSISTANT;
            default -> Set.of(TEXT);
          };
      List<Block> blocks = Blocks.read(message.require("content"), message.path("content"), types);
      if (!turns.isEmpty() && turns.getLast().role().equals(role)) {
        turns.getLast().blocks().addAll(blocks);
      } else {
        turns.add(new Turn(role, path, new ArrayList<>(blocks)));
      }
    }
    return turns;
  }

  private void add(Turn turn) {
    endsWithAssistant = false;
    switch (turn.role()) {
      case "user" -> user(turn);
      case "assistant" -> assistant(turn);
      default -> {
        requireResults();
        message("system").put("content", Blocks.joined(turn.blocks()));
      }
    }
  }

  private ObjectNode message(String role) {
    return messages.addObject().put("role", role);
  }

  private void user(Turn turn) {
    boolean results = false;
    for (Block block : turn.blocks()) {
      if (block.type().equals("tool_result")) {
        results = true;
        result(block);
      }
    }
    requireResults();
    String text = Blocks.joined(turn.blocks());
    if (!results || !text.isEmpty()) {
      message("user").put("content", text);
    }
  }

  private void result(Block block) {
    String id = block.string("tool_use_id");
    String name = called.remove(id);
    if (name == null) {
      String path = block.fields().path("tool_use_id");
      throw ApiException.invalid(
          path,
          "%s is '%s', but the message before has no tool_use of that id that still waits for a result"
              .formatted(path, id.length() > 128 ? id.substring(0, 128) + "…" : id));
    }
    JsonNode content = block.fields().get("content");
    String text = content == null ? "" : Blocks.text(content, block.fields().path("content"));
    boolean failed = block.fields().bool("is_error", false);
    message("tool")
        .put("tool_call_id", id)
        .put("name", name)
        // templates have no place for it, and the model must know
        .put("content", failed ? "Error: " + text : text);
  }

  private void assistant(Turn turn) {
    requireResults();
    endsWithAssistant = true;
    callsPath = turn.path();
    ObjectNode message = message("assistant");
    message.put("content", Blocks.joined(turn.blocks()));
    List<String> thoughts = new ArrayList<>();
    for (Block block : turn.blocks()) {
      switch (block.type()) {
        case "thinking" -> thoughts.add(thought(block));
        case "redacted_thinking" -> block.string("data"); // another model's; nobody here reads it
        case "tool_use" -> call(block, message);
        default -> {}
      }
    }
    String thought = String.join("\n", thoughts);
    if (!thought.isEmpty()) {
      message.put("reasoning_content", thought);
    }
  }

  private static String thought(Block block) {
    String shown = block.string("thinking");
    String signature = block.fields().string("signature");
    if (!shown.isEmpty() || signature == null) {
      return shown;
    }
    String carried = ThoughtSignature.thoughtIn(signature);
    if (carried == null) {
      String path = block.fields().path("signature");
      throw ApiException.invalid(path, path + " must be as it came: it carries the thought");
    }
    return carried;
  }

  private void call(Block block, ObjectNode message) {
    String id = block.string("id");
    String name = block.string("name");
    RequestFields input =
        RequestFields.of(block.fields().require("input"), block.fields().path("input"));
    if (called.putIfAbsent(id, name) != null) {
      throw ApiException.invalid(
          block.fields().path("id"), block.fields().path("id") + " must be of one tool_use only");
    }
    message
        .withArray("tool_calls")
        .addObject()
        .put("id", id)
        .put("type", "function")
        .putObject("function")
        .put("name", name)
        .set("arguments", input.object());
  }

  private void requireResults() {
    if (!called.isEmpty()) {
      String ids = String.join(", ", called.keySet());
      throw ApiException.invalid(
          callsPath,
          "%s: tool_use ids were found without tool_result blocks immediately after: %s. Each tool_use must have its tool_result in the next message."
              .formatted(callsPath, ids.length() > 256 ? ids.substring(0, 256) + "…" : ids));
    }
  }
}

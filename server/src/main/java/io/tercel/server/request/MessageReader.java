package io.tercel.server.request;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.text.ToolArguments;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads a conversation into what {@link io.tercel.server.text.ChatTemplate#prompt} takes: content
 * as one string or null, tool arguments as text and as what it says, reasoning under both its
 * names.
 */
final class MessageReader {
  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool");
  private static final Set<String> TEXT_PARTS = Set.of("text", "input_text", "output_text");
  private static final TypeReference<Map<String, @Nullable Object>> MAP = new TypeReference<>() {};

  private MessageReader() {}

  /** The field {@code messages}. */
  static List<Map<String, @Nullable Object>> messages(RequestFields request) {
    request.require("messages");
    ArrayNode array = request.array("messages");
    if (array == null || array.isEmpty()) {
      String path = request.path("messages");
      throw ApiException.invalid(path, path + " must have at least one message");
    }
    List<Map<String, @Nullable Object>> messages = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      String path = request.path("messages") + "[" + i + "]";
      messages.add(message(RequestFields.of(array.get(i), path)));
    }
    return messages;
  }

  /** The field {@code tools}, checked as far as a template relies on it; empty when absent. */
  static List<Map<String, @Nullable Object>> tools(RequestFields request) {
    ArrayNode array = request.array("tools");
    List<Map<String, @Nullable Object>> tools = new ArrayList<>();
    for (int i = 0; array != null && i < array.size(); i++) {
      RequestFields tool = RequestFields.of(array.get(i), request.path("tools") + "[" + i + "]");
      String type = RequestFields.string(tool.require("type"), tool.path("type"));
      if (!type.equals("function")) {
        throw ApiException.unsupported(
            tool.path("type"), tool.path("type") + " must be 'function', not '" + type + "'");
      }
      RequestFields function = RequestFields.of(tool.require("function"), tool.path("function"));
      RequestFields.string(function.require("name"), function.path("name"));
      tools.add(toMap(tool.object()));
    }
    return tools;
  }

  /** The tools that the model may call: none where {@code tool_choice} is none. */
  static List<Map<String, @Nullable Object>> offeredTools(RequestFields request) {
    List<Map<String, @Nullable Object>> tools = tools(request);
    return offersTools(request) ? tools : List.of();
  }

  /** Whether there are any of them. */
  static boolean offersTools(RequestFields request) {
    ArrayNode tools = request.array("tools");
    JsonNode choice = request.get("tool_choice");
    boolean none = choice != null && choice.asText().equals("none");
    return tools != null && !tools.isEmpty() && !none;
  }

  /** A JSON object as templates see it. */
  static Map<String, @Nullable Object> toMap(JsonNode object) {
    return Json.MAPPER.convertValue(object, MAP);
  }

  private static Map<String, @Nullable Object> message(RequestFields fields) {
    String role = RequestFields.string(fields.require("role"), fields.path("role"));
    if (!ROLES.contains(role)) {
      throw ApiException.invalid(
          fields.path("role"),
          "%s must be system, developer, user, assistant or tool, not '%s'"
              .formatted(fields.path("role"), role));
    }
    Map<String, @Nullable Object> message = new LinkedHashMap<>();
    // templates know no developer, and some drop without a word the role they don't know
    message.put("role", role.equals("developer") ? "system" : role);
    message.put("content", content(fields, role));
    putIfPresent(message, fields, "name");
    if (role.equals("tool")) {
      putIfPresent(message, fields, "tool_call_id");
    }
    if (role.equals("assistant")) {
      putReasoning(message, fields);
      List<Map<String, @Nullable Object>> calls = toolCalls(fields);
      if (!calls.isEmpty()) {
        message.put("tool_calls", calls);
      }
    }
    return message;
  }

  private static @Nullable String content(RequestFields fields, String role) {
    JsonNode node = fields.get("content");
    String path = fields.path("content");
    if (node == null) {
      if (role.equals("assistant")) {
        return null;
      }
      throw ApiException.missing(path);
    }
    if (node.isTextual()) {
      return node.textValue();
    }
    if (!node.isArray()) {
      throw RequestFields.wrongType(path, "a string or an array of parts", node);
    }
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < node.size(); i++) {
      texts.add(part(node.get(i), path + "[" + i + "]"));
    }
    return String.join("\n", texts); // as vLLM does for templates that expect a string
  }

  private static String part(JsonNode node, String path) {
    if (node.isTextual()) {
      return node.textValue();
    }
    RequestFields part = RequestFields.of(node, path);
    String type = RequestFields.string(part.require("type"), part.path("type"));
    if (type.equals("refusal")) {
      return RequestFields.string(part.require("refusal"), part.path("refusal"));
    }
    if (!TEXT_PARTS.contains(type)) {
      throw ApiException.unsupported(
          part.path("type"),
          "%s must be 'text', not '%s': this model reads text only"
              .formatted(part.path("type"), type));
    }
    return RequestFields.string(part.require("text"), part.path("text"));
  }

  private static void putReasoning(Map<String, @Nullable Object> message, RequestFields fields) {
    String reasoning = fields.string("reasoning_content");
    if (reasoning == null) {
      reasoning = fields.string("reasoning");
    }
    if (reasoning != null) {
      message.put("reasoning", reasoning);
      message.put("reasoning_content", reasoning);
    }
  }

  private static List<Map<String, @Nullable Object>> toolCalls(RequestFields fields) {
    ArrayNode array = fields.array("tool_calls");
    List<Map<String, @Nullable Object>> calls = new ArrayList<>();
    for (int i = 0; array != null && i < array.size(); i++) {
      RequestFields call =
          RequestFields.of(array.get(i), fields.path("tool_calls") + "[" + i + "]");
      RequestFields function = RequestFields.of(call.require("function"), call.path("function"));
      Map<String, @Nullable Object> inner = new LinkedHashMap<>();
      inner.put("name", RequestFields.string(function.require("name"), function.path("name")));
      inner.put("arguments", arguments(function));
      Map<String, @Nullable Object> outer = new LinkedHashMap<>();
      putIfPresent(outer, call, "id");
      outer.put("type", "function");
      outer.put("function", inner);
      calls.add(outer);
    }
    return calls;
  }

  /**
   * Arguments come as a JSON string. One that says no object is the model's own doing: it is part
   * of the conversation, so it is kept as text.
   */
  private static ToolArguments arguments(RequestFields function) {
    JsonNode node = function.get("arguments");
    if (node == null) {
      return new ToolArguments("{}", Map.of());
    }
    if (node.isObject()) {
      return new ToolArguments(node.toString(), toMap(node));
    }
    String text = RequestFields.string(node, function.path("arguments"));
    if (text.isBlank()) {
      return new ToolArguments("{}", Map.of());
    }
    try {
      JsonNode parsed = Json.MAPPER.readTree(text);
      Json.requireWellFormed(parsed); // escapes within the string are only seen now
      return new ToolArguments(text, parsed.isObject() ? toMap(parsed) : null);
    } catch (JsonProcessingException | ApiException e) { // half a surrogate pair as well
      return new ToolArguments(text, null);
    }
  }

  private static void putIfPresent(
      Map<String, @Nullable Object> target, RequestFields fields, String name) {
    String value = fields.string(name);
    if (value != null) {
      target.put(name, value);
    }
  }
}

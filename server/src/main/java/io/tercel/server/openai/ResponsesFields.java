package io.tercel.server.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.model.ServedModel;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.ChatRequest;
import io.tercel.server.request.RequestFields;
import io.tercel.server.request.SamplingReader;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A request of /v1/responses put into the fields of /v1/chat/completions, whose semantics it shares
 * this way. Errors found there are told by the names that the client knows.
 */
final class ResponsesFields {
  private static final List<String> STATEFUL = List.of("conversation", "prompt");

  private static final String PREVIOUS = "previous_response_id";

  /** Fields that are spelled differently over there. */
  private static final Map<String, String> RENAMED =
      Map.of("max_output_tokens", "max_completion_tokens");

  /** Not passed on under their own names: fields of this route, and those only the other knows. */
  private static final Set<String> NOT_SHARED =
      Set.of(
          "echo",
          "include",
          "input",
          "instructions",
          "logprobs",
          "max_completion_tokens",
          "max_tokens",
          "messages",
          "n",
          PREVIOUS,
          "prompt_logprobs",
          "reasoning",
          "reasoning_effort",
          "response_format",
          "store",
          "stream_options",
          "text",
          "tool_choice",
          "tools");

  /** Paths of the chat route as they stand in a field or in a message. */
  private static final Pattern CHAT_PATH =
      Pattern.compile(
          "\\b(?:messages|max_completion_tokens|reasoning_effort|response_format|tool_choice"
              + "|tools\\[\\d+])(?:\\[\\d+]|\\.\\w+)*");

  private final RequestFields fields;
  private final ResponseStore store;
  private final ArrayNode items = Json.MAPPER.createArrayNode();
  private final ObjectNode chat = Json.MAPPER.createObjectNode();
  private final ArrayNode messages = chat.putArray("messages");

  /** What a path within the messages, or the beginning of one, is called here. */
  private final Map<String, String> sources = new HashMap<>();

  private @Nullable String thought;
  private String thoughtPath = "input";

  private ResponsesFields(RequestFields fields, ResponseStore store) {
    this.fields = fields;
    this.store = store;
  }

  /**
   * What became of a request.
   *
   * @param conversation all items of the input, a previous response's among them, as a JSON array;
   *     null where the answer is not to be stored
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Read(ChatRequest request, byte @Nullable [] conversation) {}

  /**
   * Reads the request, fields and all that follows from them.
   *
   * @throws ApiException that names the field as this route has it
   */
  static Read read(RequestFields fields, ApiConfig config, ServedModel model, ResponseStore store) {
    ResponsesFields responses = new ResponsesFields(fields, store);
    responses.translate();
    try {
      ChatRequest request = ChatRequest.read(new RequestFields(responses.chat), config, model);
      boolean stored = fields.bool("store", true) && store.keeps();
      return new Read(request, stored ? Json.bytes(responses.items) : null);
    } catch (ApiException e) {
      throw e.renamed(responses::original);
    }
  }

  private void translate() {
    refuseState();
    for (var field : fields.object().properties()) {
      if (!NOT_SHARED.contains(field.getKey())) {
        chat.set(RENAMED.getOrDefault(field.getKey(), field.getKey()), field.getValue());
      }
    }
    String instructions = fields.string("instructions");
    if (instructions != null) {
      message("system", "instructions").put("content", instructions);
      rename(".content", "instructions");
    }
    previous();
    input();
    tools();
    JsonNode choice = fields.get("tool_choice");
    if (choice != null) {
      chat.set("tool_choice", toolChoice(choice));
    }
    RequestFields text = fields.fields("text");
    RequestFields format = text == null ? null : text.fields("format");
    if (format != null) {
      chat.set("response_format", responseFormat(format));
    }
    RequestFields reasoning = fields.fields("reasoning");
    if (reasoning != null && reasoning.string("effort") != null) {
      chat.put("reasoning_effort", reasoning.string("effort"));
    }
    logprobs();
  }

  private void refuseState() {
    for (String name : STATEFUL) {
      if (fields.has(name)) {
        throw ApiException.unsupported(
            name, name + " is not supported: nothing is stored here; send the whole input");
      }
    }
    if (fields.bool("background", false)) {
      throw ApiException.unsupported(
          "background", "background is not supported: nothing is stored");
    }
    String truncation = fields.string("truncation");
    if (truncation != null && !truncation.equals("disabled")) {
      throw ApiException.unsupported(
          "truncation", "truncation must be 'disabled': an input that is too long is refused");
    }
  }

  /** What was said before; it goes on as if it were the beginning of the input. */
  private void previous() {
    String id = fields.string(PREVIOUS);
    if (id == null) {
      return;
    }
    if (!store.keeps()) {
      throw ApiException.unsupported(
          PREVIOUS,
          PREVIOUS
              + " is not supported: nothing is stored here; send the whole input, or start the"
              + " server with --response-store");
    }
    byte[] conversation = store.conversation(id);
    if (conversation == null) {
      throw ApiException.previousResponseNotFound(id);
    }
    for (JsonNode item : Json.parseArray(conversation)) {
      items.add(item);
      item(RequestFields.of(item, PREVIOUS), PREVIOUS);
    }
  }

  private void input() {
    JsonNode input = fields.require("input");
    if (input.isTextual()) {
      items.addObject().put("role", "user").set("content", input);
      message("user", "input").put("content", input.textValue());
      rename(".content", "input");
      return;
    }
    if (!input.isArray()) {
      throw RequestFields.wrongType("input", "a string or an array of items", input);
    }
    if (input.isEmpty()) {
      throw ApiException.invalid("input", "input must have at least one item");
    }
    for (int i = 0; i < input.size(); i++) {
      String path = "input[" + i + "]";
      items.add(input.get(i));
      item(RequestFields.of(input.get(i), path), path);
    }
  }

  private void item(RequestFields item, String path) {
    String type = item.string("type");
    switch (type == null ? "message" : type) {
      case "message" -> {
        ObjectNode message =
            message(RequestFields.string(item.require("role"), item.path("role")), path);
        message.set("content", item.require("content"));
      }
      case "reasoning" -> {
        thought = thought(item);
        thoughtPath = path;
      }
      case "function_call" -> {
        ArrayNode calls = assistant(path).withArray("tool_calls");
        String call = ".tool_calls[" + calls.size() + "]";
        calls
            .addObject()
            .put("id", RequestFields.string(item.require("call_id"), item.path("call_id")))
            .put("type", "function")
            .putObject("function")
            .put("name", RequestFields.string(item.require("name"), item.path("name")))
            .set("arguments", item.require("arguments"));
        rename(call, path);
        rename(call + ".function", path);
        rename(call + ".id", path + ".call_id");
      }
      case "function_call_output" -> {
        ObjectNode message = message("tool", path);
        message.put(
            "tool_call_id", RequestFields.string(item.require("call_id"), item.path("call_id")));
        message.set("content", item.require("output"));
        rename(".content", path + ".output");
        rename(".tool_call_id", path + ".call_id");
      }
      default ->
          throw ApiException.unsupported(
              item.path("type"),
              "%s must be message, reasoning, function_call or function_call_output, not '%s'"
                  .formatted(item.path("type"), type));
    }
  }

  private ObjectNode message(String role, String path) {
    ObjectNode message = messages.addObject().put("role", role);
    rename("", path);
    if (role.equals("assistant") && thought != null) {
      message.put("reasoning_content", thought);
      rename(".reasoning_content", thoughtPath);
    }
    thought = null; // it led to nothing if somebody else spoke
    return message;
  }

  /** What a path within the last message is called here. */
  private void rename(String within, String path) {
    sources.put("messages[" + (messages.size() - 1) + "]" + within, path);
  }

  /** The message that a call belongs to: the assistant's last, if nobody has spoken since. */
  private ObjectNode assistant(String path) {
    JsonNode last = messages.isEmpty() ? null : messages.get(messages.size() - 1);
    return last instanceof ObjectNode object
            && object.path("role").asText().equals("assistant")
            && thought == null
        ? object
        : message("assistant", path);
  }

  private static @Nullable String thought(RequestFields item) {
    StringBuilder text = new StringBuilder();
    for (String name : List.of("content", "summary")) {
      ArrayNode parts = item.array(name);
      for (int i = 0; parts != null && i < parts.size(); i++) {
        String path = item.path(name) + "[" + i + "]";
        RequestFields part = RequestFields.of(parts.get(i), path);
        text.append(RequestFields.string(part.require("text"), part.path("text")));
      }
      if (!text.isEmpty()) {
        return text.toString(); // a summary is of use only where the thought itself is missing
      }
    }
    return null;
  }

  private void tools() {
    ArrayNode tools = fields.array("tools");
    if (tools == null) {
      return;
    }
    ArrayNode all = chat.putArray("tools");
    for (int i = 0; i < tools.size(); i++) {
      RequestFields tool = RequestFields.of(tools.get(i), "tools[" + i + "]");
      ObjectNode function = tool.object().deepCopy();
      JsonNode type = tool.require("type");
      function.remove("type");
      ObjectNode wrapped = all.addObject();
      wrapped.set("type", type);
      wrapped.set("function", function);
    }
  }

  private static JsonNode toolChoice(JsonNode choice) {
    if (!(choice instanceof ObjectNode object)
        || !object.path("type").asText().equals("function")) {
      return choice;
    }
    ObjectNode wrapped = Json.MAPPER.createObjectNode().put("type", "function");
    wrapped.putObject("function").set("name", object.get("name"));
    return wrapped;
  }

  private static JsonNode responseFormat(RequestFields format) {
    ObjectNode flat = format.object();
    if (!flat.path("type").asText().equals("json_schema")) {
      return flat;
    }
    ObjectNode schema = flat.deepCopy();
    schema.remove("type");
    ObjectNode wrapped = Json.MAPPER.createObjectNode().put("type", "json_schema");
    wrapped.set("json_schema", schema);
    return wrapped;
  }

  private void logprobs() {
    int top = fields.integer("top_logprobs", 0, 0, SamplingReader.MAX_LOGPROBS);
    boolean included = fields.strings("include", 16).contains("message.output_text.logprobs");
    if (included || top > 0) {
      chat.put("logprobs", true).put("top_logprobs", top);
    }
  }

  /** What the chat route's paths in a field's name or a message are called here. */
  private String original(String text) {
    return CHAT_PATH.matcher(text).replaceAll(m -> Matcher.quoteReplacement(renamed(m.group())));
  }

  private String renamed(String path) {
    for (int end = path.length(); end > 0; end--) {
      boolean whole = end == path.length() || path.charAt(end) == '.' || path.charAt(end) == '[';
      String source = whole ? sources.get(path.substring(0, end)) : null;
      if (source != null) {
        return source + path.substring(end);
      }
    }
    return path.replaceFirst("^messages", "input")
        .replaceFirst("^max_completion_tokens", "max_output_tokens")
        .replaceFirst("^reasoning_effort", "reasoning.effort")
        .replaceFirst("^response_format\\.json_schema", "text.format")
        .replaceFirst("^response_format", "text.format")
        .replaceFirst("^(tools\\[\\d+]|tool_choice)\\.function", "$1");
  }
}

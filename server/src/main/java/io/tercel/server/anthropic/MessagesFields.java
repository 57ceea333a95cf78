package io.tercel.server.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.model.ServedModel;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.ChatPrompt;
import io.tercel.server.request.ChatRequest;
import io.tercel.server.request.CommonFields;
import io.tercel.server.request.RequestFields;
import io.tercel.server.request.ThinkingReader;
import io.tercel.server.request.Truncation;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A request of /v1/messages put into the fields that every API shares, whose meaning it gets this
 * way. Errors found there are told by the names that the client knows.
 */
final class MessagesFields {
  private static final String MAX_TOKENS = "max_tokens";
  private static final int LEAST_BUDGET = 1024;

  /**
   * Fields that go by the same names: Anthropic's, and those by which this server goes beyond it.
   */
  private static final Set<String> SHARED =
      Set.of(
          "model",
          MAX_TOKENS,
          "stream",
          "temperature",
          "top_k",
          "top_p",
          "chat_template_kwargs",
          "frequency_penalty",
          "group_id",
          "ignore_eos",
          "logit_bias",
          "loop_breaker",
          "min_p",
          "min_tokens",
          "presence_penalty",
          "priority",
          "repetition_penalty",
          "seed",
          "service_class",
          "stale_kv");

  /** What would change the answer, but can't be had here. */
  private static final Map<String, String> UNSUPPORTED =
      Map.of(
          "container", "no tool is run here",
          "mcp_servers", "no tool is run here",
          "thread", "nothing is stored here; send the whole conversation");

  /** Paths of the shared fields as they stand in a field or in a message. */
  private static final Pattern SHARED_PATH =
      Pattern.compile(
          "\\b(?:continue_final_message|reasoning_effort|response_format|stop|thinking_token_budget"
              + "|tool_choice|tools\\[\\d+])(?:\\[\\d+]|\\.\\w+)*(?!\\w)");

  private static final Map<String, String> NAMES =
      Map.of(
          "continue_final_message", "messages",
          "reasoning_effort", "output_config.effort",
          "stop", "stop_sequences",
          "thinking_token_budget", "thinking.budget_tokens");

  private final RequestFields fields;
  private final ServedModel model;
  private final ObjectNode chat = Json.MAPPER.createObjectNode();

  private MessagesFields(RequestFields fields, ServedModel model) {
    this.fields = fields;
    this.model = model;
  }

  /**
   * Reads the request, fields and all that follows from them.
   *
   * @throws ApiException that names the field as this API has it
   */
  static MessageRequest read(RequestFields fields, ApiContext context) {
    MessagesFields messages = new MessagesFields(fields, context.model());
    int maxTokens =
        RequestFields.integer(fields.require(MAX_TOKENS), MAX_TOKENS, 1, Integer.MAX_VALUE);
    boolean hidesThought = messages.translate(maxTokens);
    try {
      ChatRequest request =
          ChatRequest.read(
              new RequestFields(messages.chat), context.config(), context.model(), true);
      return new MessageRequest(
          request, request.params().ending().maxTokens() < maxTokens, hidesThought);
    } catch (ApiException e) {
      throw e.renamed(MessagesFields::original);
    }
  }

  /**
   * How many tokens the request's prompt has.
   *
   * @throws ApiException as {@link #read}, as far as the prompt is concerned
   */
  static int promptTokens(RequestFields fields, ApiContext context) {
    MessagesFields messages = new MessagesFields(fields, context.model());
    messages.translate(Integer.MAX_VALUE);
    try {
      RequestFields chat = new RequestFields(messages.chat);
      CommonFields.model(chat, context.config());
      return ChatPrompt.tokens(chat, Truncation.NONE, -1, context.model()).length;
    } catch (ApiException e) {
      throw e.renamed(MessagesFields::original);
    }
  }

  /** Whether the thought's text stays here. */
  private boolean translate(int maxTokens) {
    for (var refused : UNSUPPORTED.entrySet()) {
      JsonNode node = fields.get(refused.getKey());
      if (node != null && !(node.isContainerNode() && node.isEmpty())) {
        throw ApiException.unsupported(
            refused.getKey(), refused.getKey() + " is not supported: " + refused.getValue());
      }
    }
    fields.require("model");
    for (var field : fields.object().properties()) {
      if (SHARED.contains(field.getKey())) {
        chat.set(field.getKey(), field.getValue());
      }
    }
    fields.number("temperature", 1, 0, 1);
    stopSequences();
    oneOf(fields, "service_tier", "auto", "standard_only");
    RequestFields metadata = fields.fields("metadata");
    if (metadata != null) {
      metadata.string("user_id");
    }
    conversation();
    ToolFields.put(fields, chat);
    outputConfig();
    return thinking(maxTokens);
  }

  private void stopSequences() {
    ArrayNode stops = fields.array("stop_sequences");
    for (int i = 0; stops != null && i < stops.size(); i++) {
      String path = "stop_sequences." + i;
      if (RequestFields.string(stops.get(i), path).isEmpty()) {
        throw ApiException.invalid(path, path + " must not be empty");
      }
    }
    if (stops != null) {
      chat.set("stop", stops);
    }
  }

  private void conversation() {
    ArrayNode messages = chat.putArray("messages");
    JsonNode system = fields.get("system");
    String instructions = system == null ? "" : Blocks.text(system, "system");
    if (!instructions.isEmpty()) {
      messages.addObject().put("role", "system").put("content", instructions);
    }
    if (Conversation.read(fields, messages)) {
      chat.put("add_generation_prompt", false).put("continue_final_message", true);
    }
  }

  private void outputConfig() {
    RequestFields config = fields.fields("output_config");
    if (config == null) {
      return;
    }
    String effort = oneOf(config, "effort", "low", "medium", "high", "xhigh", "max");
    if (effort != null) {
      chat.put("reasoning_effort", effort.equals("max") ? "xhigh" : effort);
    }
    RequestFields format = config.fields("format");
    if (format != null) {
      format.require("type");
      oneOf(format, "type", "json_schema");
      ObjectNode shared = chat.putObject("response_format").put("type", "json_schema");
      shared.putObject("json_schema").set("schema", format.require("schema"));
    }
  }

  /**
   * Without a word there is no thought, as Anthropic's API has it. A template may know no switch
   * for that: then a budget of nothing closes the thought that it opens.
   */
  private boolean thinking(int maxTokens) {
    RequestFields thinking = fields.fields("thinking");
    String type = "disabled";
    if (thinking != null) {
      type = RequestFields.string(thinking.require("type"), thinking.path("type"));
      oneOf(thinking, "type", "enabled", "adaptive", "disabled");
    }
    JsonNode given = fields.get("chat_template_kwargs");
    boolean said = given != null && given.has("enable_thinking");
    if (given == null || given.isObject()) {
      ObjectNode kwargs = given == null ? Json.MAPPER.createObjectNode() : given.deepCopy();
      if (!said) {
        kwargs.put("enable_thinking", !type.equals("disabled"));
      }
      chat.set("chat_template_kwargs", kwargs);
    }
    if (type.equals("enabled") && thinking != null) {
      chat.put("thinking_token_budget", budget(thinking, maxTokens));
    } else if (type.equals("disabled") && !said && ThinkingReader.bounds(model)) {
      chat.put("thinking_token_budget", 0);
    }
    return thinking != null
        && "omitted".equals(oneOf(thinking, "display", "summarized", "omitted"));
  }

  private static int budget(RequestFields thinking, int maxTokens) {
    String path = thinking.path("budget_tokens");
    int budget =
        RequestFields.integer(
            thinking.require("budget_tokens"), path, LEAST_BUDGET, Integer.MAX_VALUE);
    if (budget >= maxTokens) {
      throw ApiException.invalid(
          path, "%s must be less than max_tokens, %d, not %d".formatted(path, maxTokens, budget));
    }
    return budget;
  }

  /** A field that has one of these values; null where it is absent. */
  private static @Nullable String oneOf(RequestFields fields, String name, String... values) {
    String value = fields.string(name);
    if (value != null && !List.of(values).contains(value)) {
      throw ApiException.unsupported(
          fields.path(name),
          "%s must be %s, not '%s'"
              .formatted(
                  fields.path(name),
                  String.join(" or ", values),
                  value.length() > 40 ? value.substring(0, 40) + "…" : value));
    }
    return value;
  }

  /** What shared paths in a field's name or a message are called here. */
  private static String original(String text) {
    return SHARED_PATH.matcher(text).replaceAll(m -> Matcher.quoteReplacement(renamed(m.group())));
  }

  private static String renamed(String path) {
    String name = path.split("[.\\[]", 2)[0];
    return (NAMES.getOrDefault(name, name) + path.substring(name.length()))
        .replaceFirst("^response_format\\.json_schema", "output_config.format")
        .replaceFirst("^(tools\\[\\d+])\\.function\\.parameters", "$1.input_schema")
        .replaceFirst("^(tools\\[\\d+]|tool_choice)\\.function", "$1")
        .replaceAll("\\[(\\d+)]", ".$1");
  }
}

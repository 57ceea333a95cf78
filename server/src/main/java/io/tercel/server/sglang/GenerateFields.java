package io.tercel.server.sglang;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.model.ReasoningDefaults;
import io.tercel.server.model.ServedModel;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.CommonFields;
import io.tercel.server.request.CompletionId;
import io.tercel.server.request.FormReader;
import io.tercel.server.request.RequestFields;
import io.tercel.server.request.SamplingReader;
import io.tercel.server.request.ThinkingReader;
import io.tercel.server.text.PromptThought;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Puts a request of {@code /generate} into the fields that all APIs share, prompt by prompt, and
 * says what is wrong in its own. What a request doesn't say is SGLang's default, not the model's:
 * who trains draws from the model as it is.
 */
final class GenerateFields {
  private static final int DEFAULT_MAX_NEW_TOKENS = 128;

  /** Fields of sampling_params and their names here; those of one name are in {@link #SAME}. */
  private static final Map<String, String> RENAMED =
      Map.of(
          "max_new_tokens", "max_tokens",
          "min_new_tokens", "min_tokens",
          "sampling_seed", "seed",
          "no_stop_trim", "include_stop_str_in_output");

  private static final List<String> SAME =
      List.of(
          "temperature",
          "top_p",
          "top_k",
          "min_p",
          "frequency_penalty",
          "presence_penalty",
          "repetition_penalty",
          "n",
          "stop",
          "stop_token_ids",
          "ignore_eos",
          "skip_special_tokens",
          "logit_bias");

  /** Forms of an answer, and what they are called here. */
  private static final Map<String, String> FORMS = Map.of("json_schema", "json", "regex", "regex");

  private static final List<String> UNSUPPORTED_SAMPLING =
      List.of("ebnf", "structural_tag", "stop_regex", "custom_params");

  /** Fields beside sampling_params that mean here what they mean on other routes. */
  private static final List<String> SHARED =
      List.of(
          "model",
          "logprobs_mode",
          "return_weight_versions",
          "return_forced_tokens",
          "thinking_token_budget",
          "loop_breaker",
          "truncate_prompt_tokens",
          "service_class",
          "stale_kv",
          "group_id");

  private static final List<String> UNSUPPORTED =
      List.of(
          "input_embeds",
          "image_data",
          "video_data",
          "audio_data",
          "lora_path",
          "session_params",
          "token_ids_logprob",
          "custom_logit_processor");

  private final RequestFields fields;
  private final ApiConfig config;
  private final ServedModel model;
  private final String source;
  private final boolean batch;

  private GenerateFields(RequestFields fields, ApiContext context) {
    this.fields = fields;
    this.config = context.config();
    this.model = context.model();
    if (fields.has("text") == fields.has("input_ids")) {
      throw ApiException.invalid(
          "text", "either text or input_ids is required: a prompt, or an array of prompts");
    }
    this.source = fields.has("text") ? "text" : "input_ids";
    JsonNode prompt = fields.require(source);
    boolean texts = source.equals("text");
    if (!prompt.isArray() && !(texts && prompt.isTextual())) {
      throw RequestFields.wrongType(
          source,
          texts ? "a string or an array of strings" : "an array of ids or an array of these",
          prompt);
    }
    if (prompt.isArray() && prompt.isEmpty()) {
      throw ApiException.invalid(source, source + " must not be empty");
    }
    this.batch = prompt.isArray() && (texts || prompt.get(0).isArray());
  }

  /**
   * Reads the request, fields and all that follows from them.
   *
   * @throws ApiException that names the field as this route has it
   */
  static GenerateRequest read(RequestFields fields, ApiContext context) {
    return new GenerateFields(fields, context).request();
  }

  private GenerateRequest request() {
    for (String name : UNSUPPORTED) {
      JsonNode node = fields.get(name);
      if (node != null && !(node.isContainerNode() && node.isEmpty())) {
        throw ApiException.unsupported(name, name + " is not supported");
      }
    }
    if (fields.bool("return_hidden_states", false)) {
      throw ApiException.unsupported(
          "return_hidden_states", "return_hidden_states is not supported");
    }
    boolean stream = fields.bool("stream", false);
    JsonNode node = fields.require(source);
    int count = batch ? node.size() : 1;
    if (count > config.maxChoices()) {
      RequestFields.requireSize(node, source, config.maxChoices());
    }
    List<GenerateRequest.Prompt> prompts = new ArrayList<>(count);
    List<String> names = names(count);
    int choices = 0;
    for (int i = 0; i < count; i++) {
      JsonNode one = batch ? node.get(i) : node;
      GenerateRequest.Prompt prompt =
          prompt(one, batch ? source + "[" + i + "]" : source, i, names.get(i));
      choices += prompt.params().n();
      prompts.add(prompt);
    }
    if (choices > config.maxChoices()) {
      throw ApiException.invalid(
          source,
          "%s and n ask for %d answers; this server gives at most %d to a request (--max-choices)"
              .formatted(source, choices, config.maxChoices()));
    }
    return new GenerateRequest(prompts, stream, batch || choices > 1);
  }

  /** What the requests are called: as the client says, or by names of their own. */
  private List<String> names(int count) {
    JsonNode rid = fields.get("rid");
    List<String> names = new ArrayList<>(count);
    if (rid == null || rid.isTextual()) {
      String name = rid == null ? CompletionId.unique("gen-") : checked(rid, "rid");
      for (int i = 0; i < count; i++) {
        names.add(batch ? CompletionId.part(name, i) : name);
      }
      return names;
    }
    if (!batch || !rid.isArray() || rid.size() != count) {
      throw ApiException.invalid(
          "rid", "rid must be a string, or for a batch an array of one a prompt");
    }
    Set<String> all = new HashSet<>();
    for (int i = 0; i < count; i++) {
      String name = checked(rid.get(i), "rid[" + i + "]");
      if (!all.add(name)) {
        throw ApiException.invalid("rid[" + i + "]", "rid[" + i + "] is there twice: " + name);
      }
      names.add(name);
    }
    return names;
  }

  private static String checked(JsonNode node, String path) {
    String name = RequestFields.string(node, path);
    if (!CompletionId.isUsable(name)) {
      throw ApiException.invalid(path, path + " must be " + CompletionId.USABLE);
    }
    return name;
  }

  private GenerateRequest.Prompt prompt(JsonNode node, String path, int index, String name) {
    JsonNode sampling = of("sampling_params", index);
    String prefix =
        sampling != null && sampling != fields.get("sampling_params")
            ? "sampling_params[" + index + "]"
            : "sampling_params";
    RequestFields given =
        RequestFields.of(
            sampling == null ? JsonNodeFactory.instance.objectNode() : sampling, prefix);
    ObjectNode shared = shared(given, index);
    try {
      return read(new RequestFields(shared), given, node, path, index, name);
    } catch (ApiException e) {
      throw inOwnWords(e, prefix, path);
    }
  }

  /** One prompt's value of a field that may be a list, one a prompt. */
  private @Nullable JsonNode of(String name, int index) {
    JsonNode node = fields.get(name);
    if (!batch || node == null || !node.isArray()) {
      return node;
    }
    if (index >= node.size()) {
      throw ApiException.invalid(
          name, name + " must have one entry a prompt; it has " + node.size());
    }
    JsonNode one = node.get(index);
    return one.isNull() ? null : one;
  }

  private ObjectNode shared(RequestFields given, int index) {
    for (String name : UNSUPPORTED_SAMPLING) {
      if (given.has(name)) {
        throw ApiException.unsupported(given.path(name), given.path(name) + " is not supported");
      }
    }
    ObjectNode shared = Json.MAPPER.createObjectNode();
    shared
        .put("max_tokens", DEFAULT_MAX_NEW_TOKENS)
        .put("temperature", 1)
        .put("top_p", 1)
        .put("top_k", -1)
        .put("min_p", 0)
        .put("repetition_penalty", 1);
    for (String name : SAME) {
      JsonNode value = given.get(name);
      if (value != null) {
        shared.set(name, value);
      }
    }
    RENAMED.forEach(
        (name, here) -> {
          JsonNode value = given.get(name);
          if (value != null) {
            shared.set(here, value);
          }
        });
    FORMS.forEach(
        (name, here) -> {
          JsonNode value = given.get(name);
          if (value != null) {
            shared.withObject("/structured_outputs").set(here, value);
          }
        });
    for (String name : SHARED) {
      JsonNode value = fields.get(name);
      if (value != null) {
        shared.set(name, value);
      }
    }
    JsonNode priority = of("priority", index);
    if (priority != null) { // there the higher goes first
      shared.put(
          "priority",
          -RequestFields.integer(priority, "priority", -Integer.MAX_VALUE, Integer.MAX_VALUE));
    }
    return shared;
  }

  private GenerateRequest.Prompt read(
      RequestFields shared,
      RequestFields given,
      JsonNode node,
      String path,
      int index,
      String name) {
    CommonFields common = CommonFields.read(shared, config);
    CommonFields.MaxTokens max = CommonFields.maxTokensField(shared, List.of("max_tokens"), 0);
    ThinkingReader thinking = new ThinkingReader(shared, model, ReasoningDefaults.NONE);
    FormReader form = new FormReader(shared, model);
    int[] ids = common.truncation().of(ids(node, path, common), max.value(), model);
    if (ids.length >= model.maxModelLen()) {
      throw CommonFields.promptTooLong(path, ids.length, model.maxModelLen());
    }
    GenerateRequest.Scored scored = scored(index, ids.length);
    int maxTokens = CommonFields.maxTokens(max, 0, ids.length, model.maxModelLen());
    boolean scoresPrompt = scored.wanted() && scored.from() < ids.length;
    if (maxTokens == 0 && !scoresPrompt) {
      throw ApiException.invalid(
          "max_tokens",
          "max_tokens may be 0 only where the prompt's log-probs are wanted: return_logprob with"
              + " logprob_start_len");
    }
    SamplingParams params =
        new SamplingReader(shared, model.defaults())
            .read(common, maxTokens, scored.top(), scoresPrompt ? scored.top() : -1);
    PromptThought thought = model.thoughtOf(ids);
    int interval = given.integer("stream_interval", 1, 1, Integer.MAX_VALUE);
    return new GenerateRequest.Prompt(
        name,
        common,
        ids,
        thought,
        form.addTo(thinking.addTo(params, thought), thought, false),
        scored,
        interval);
  }

  private int[] ids(JsonNode node, String path, CommonFields common) {
    if (source.equals("text")) {
      String text = RequestFields.string(node, path);
      CommonFields.checkBytes(path, text, common.truncation(), model);
      int[] ids = model.tokenizer().encode(text, true);
      if (ids.length == 0) {
        throw ApiException.invalid(path, path + " must have at least one token");
      }
      return ids;
    }
    if (!node.isArray() || node.isEmpty()) {
      throw RequestFields.wrongType(path, "an array of one or more ids", node);
    }
    int[] ids = new int[node.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = RequestFields.integer(node.get(i), path + "[" + i + "]", 0, Integer.MAX_VALUE);
    }
    return ids;
  }

  private GenerateRequest.Scored scored(int index, int length) {
    JsonNode wanted = of("return_logprob", index);
    if (wanted != null && !wanted.isBoolean()) {
      throw RequestFields.wrongType("return_logprob", "a boolean", wanted);
    }
    boolean scores = wanted != null && wanted.booleanValue();
    JsonNode start = of("logprob_start_len", index);
    JsonNode top = of("top_logprobs_num", index);
    int from =
        start == null
            ? -1
            : RequestFields.integer(start, "logprob_start_len", -1, Integer.MAX_VALUE);
    int likeliest =
        top == null
            ? 0
            : RequestFields.integer(top, "top_logprobs_num", 0, SamplingReader.MAX_LOGPROBS);
    if (from > length) {
      throw ApiException.invalid(
          "logprob_start_len",
          "logprob_start_len is %d, beyond the prompt's %d tokens".formatted(from, length));
    }
    return new GenerateRequest.Scored(
        scores,
        from < 0 ? length : from,
        scores ? likeliest : 0,
        fields.bool("return_text_in_logprobs", false));
  }

  /**
   * A fault as this route calls its fields.
   *
   * @param sampling where the sampling parameters came from
   * @param prompt where the prompt came from
   */
  static ApiException inOwnWords(ApiException e, String sampling, String prompt) {
    String param = e.param();
    if (param == null) {
      return e;
    }
    String own = param.equals("prompt") ? prompt : own(param, sampling + ".");
    Pattern there = Pattern.compile("(?<![\\w.])" + Pattern.quote(param) + "(?!\\w)");
    return own.equals(param)
        ? e
        : e.renamed(text -> there.matcher(text).replaceAll(Matcher.quoteReplacement(own)));
  }

  private static String own(String param, String prefix) {
    for (var form : FORMS.entrySet()) {
      String here = "structured_outputs." + form.getValue();
      if (param.startsWith(here)) {
        return prefix + form.getKey() + param.substring(here.length());
      }
    }
    String field = param.split("[.\\[]", 2)[0];
    String rest = param.substring(field.length());
    for (var renamed : RENAMED.entrySet()) {
      if (field.equals(renamed.getValue())) {
        return prefix + renamed.getKey() + rest;
      }
    }
    return SAME.contains(field) ? prefix + field + rest : param;
  }
}

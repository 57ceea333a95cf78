package io.tercel.server.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.model.ReasoningDefaults;
import io.tercel.server.model.ServedModel;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.CommonFields;
import io.tercel.server.request.FormReader;
import io.tercel.server.request.RequestFields;
import io.tercel.server.request.SamplingReader;
import io.tercel.server.request.ThinkingReader;
import io.tercel.server.request.Truncation;
import io.tercel.server.text.PromptThought;
import java.util.ArrayList;
import java.util.List;

/**
 * A request of /v1/completions, ready to be submitted.
 *
 * @param logprobs likeliest tokens to report, or -1 for no log-probs at all
 * @param echo the prompt comes before the answer
 * @param echoOnly the prompt alone is wanted: the engine has to draw a token, which is dropped
 */
record CompletionRequest(
    CommonFields common, List<Prompt> prompts, int logprobs, boolean echo, boolean echoOnly) {
  private static final List<String> LIMITS = List.of("max_tokens");
  private static final int DEFAULT_MAX_TOKENS = 16;

  /**
   * One of the prompts.
   *
   * @param text as given, or decoded
   * @param thought how far it has come with one
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Prompt(int[] ids, String text, PromptThought thought, SamplingParams params) {}

  /**
   * Reads and checks all fields and tokenizes.
   *
   * @throws ApiException if it can't be run as it is
   */
  static CompletionRequest read(RequestFields fields, ApiConfig config, ServedModel model) {
    CommonFields common = CommonFields.read(fields, config);
    int logprobs = fields.integer("logprobs", -1, 0, SamplingReader.MAX_LOGPROBS);
    boolean echo = fields.bool("echo", false);
    CommonFields.MaxTokens max = CommonFields.maxTokensField(fields, LIMITS, echo ? 0 : 1);
    boolean echoOnly = max.value() == 0;
    CommonFields.MaxTokens wanted = echoOnly ? new CommonFields.MaxTokens(max.field(), 1) : max;
    int promptLogprobs = Math.max(common.promptLogprobs(), echo ? logprobs : -1);
    SamplingReader sampling = new SamplingReader(fields, model.defaults());
    // nobody steps in unasked: who sends a bare prompt wants what the model makes of it
    ThinkingReader thinking = new ThinkingReader(fields, model, ReasoningDefaults.NONE);
    FormReader form = new FormReader(fields, model);

    int answer = wanted.value() < 0 ? DEFAULT_MAX_TOKENS : wanted.value();
    PromptReader reader = new PromptReader(fields, common.truncation(), answer, model);
    List<Prompt> prompts = new ArrayList<>();
    for (JsonNode node : reader.split(config.maxChoices() / common.n())) {
      int[] ids = reader.ids(node, prompts.size());
      if (ids.length >= model.maxModelLen()) {
        throw CommonFields.promptTooLong("prompt", ids.length, model.maxModelLen());
      }
      int maxTokens =
          CommonFields.maxTokens(wanted, DEFAULT_MAX_TOKENS, ids.length, model.maxModelLen());
      SamplingParams params =
          sampling.read(common, maxTokens, Math.max(0, logprobs), promptLogprobs);
      PromptThought thought = model.thoughtOf(ids);
      prompts.add(
          new Prompt(
              ids,
              echo ? reader.text(node, ids) : "",
              thought,
              form.addTo(thinking.addTo(params, thought), thought, false)));
    }
    return new CompletionRequest(common, prompts, logprobs, echo, echoOnly);
  }

  /**
   * Takes the field {@code prompt} apart: a text, texts, ids, or lists of ids.
   *
   * @param answer tokens that may follow each
   */
  record PromptReader(RequestFields fields, Truncation truncation, int answer, ServedModel model) {

    /** One node a prompt: a text or a list of ids. */
    List<JsonNode> split(int maxPrompts) {
      JsonNode prompt = fields.require("prompt");
      if (prompt.isTextual()) {
        return List.of(prompt);
      }
      if (!prompt.isArray()) {
        throw wrongType("prompt", prompt);
      }
      if (prompt.isEmpty()) {
        throw ApiException.invalid("prompt", "prompt must not be empty");
      }
      if (prompt.get(0).isNumber()) {
        return List.of(prompt);
      }
      RequestFields.requireSize(prompt, "prompt", maxPrompts);
      List<JsonNode> all = new ArrayList<>();
      prompt.forEach(all::add);
      return all;
    }

    int[] ids(JsonNode node, int index) {
      String path = node == fields.get("prompt") ? "prompt" : "prompt[" + index + "]";
      int[] ids;
      if (node.isTextual()) {
        CommonFields.checkBytes(path, node.textValue(), truncation, model);
        ids = model.tokenizer().encode(node.textValue(), fields.bool("add_special_tokens", true));
      } else if (node.isArray()) {
        ids = new int[node.size()];
        for (int i = 0; i < ids.length; i++) {
          ids[i] = RequestFields.integer(node.get(i), path + "[" + i + "]", 0, Integer.MAX_VALUE);
        }
      } else {
        throw wrongType(path, node);
      }
      if (ids.length == 0) {
        throw ApiException.invalid(path, path + " must have at least one token");
      }
      return truncation.of(ids, answer, model);
    }

    /** What an echo says of it: as it came, or what is left of it. */
    String text(JsonNode node, int[] ids) {
      return node.isTextual() && truncation.tokens() == 0
          ? node.textValue()
          : model.tokenizer().decode(ids, false);
    }

    private static ApiException wrongType(String path, JsonNode node) {
      return RequestFields.wrongType(
          path, "a string, an array of strings, token ids or an array of these", node);
    }
  }
}

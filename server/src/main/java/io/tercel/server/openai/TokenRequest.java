package io.tercel.server.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.model.ServedModel;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.CommonFields;
import io.tercel.server.request.FormReader;
import io.tercel.server.request.RequestFields;
import io.tercel.server.request.SamplingReader;
import io.tercel.server.request.ThinkingReader;
import io.tercel.server.text.PromptThought;
import java.util.List;

/**
 * A request to continue one prompt, a text or token ids, whose answer is read token by token: the
 * fields of /v1/completions that say how tokens are drawn and what form the answer has, and those
 * of chat that keep a thought within bounds.
 *
 * @param thought how far the prompt has come with it
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record TokenRequest(
    CommonFields common, int[] prompt, PromptThought thought, SamplingParams params) {
  private static final List<String> LIMITS = List.of("max_tokens");
  private static final int DEFAULT_MAX_TOKENS = 16;

  /**
   * Reads and checks all fields and tokenizes.
   *
   * @throws ApiException if it can't be run as it is
   */
  static TokenRequest read(RequestFields fields, ApiConfig config, ServedModel model) {
    CommonFields common = CommonFields.read(fields, config);
    int logprobs = fields.integer("logprobs", -1, 0, SamplingReader.MAX_LOGPROBS);
    CommonFields.MaxTokens max = CommonFields.maxTokensField(fields, LIMITS, 1);
    // read once before tokenizing, so that a bad value costs no work
    SamplingReader sampling = new SamplingReader(fields, model.defaults());
    int widest = max.value() < 0 ? model.maxModelLen() : max.value();
    sampling.read(common, widest, Math.max(0, logprobs), common.promptLogprobs());
    ThinkingReader thinking = new ThinkingReader(fields, model, model.reasoning());
    FormReader form = new FormReader(fields, model);

    JsonNode node = fields.require("prompt");
    int answer = max.value() < 0 ? DEFAULT_MAX_TOKENS : max.value();
    int[] prompt =
        new CompletionRequest.PromptReader(fields, common.truncation(), answer, model).ids(node, 0);
    if (prompt.length >= model.maxModelLen()) {
      throw CommonFields.promptTooLong("prompt", prompt.length, model.maxModelLen());
    }
    int maxTokens =
        CommonFields.maxTokens(max, DEFAULT_MAX_TOKENS, prompt.length, model.maxModelLen());
    PromptThought thought = model.thoughtOf(prompt);
    SamplingParams params =
        sampling.read(common, maxTokens, Math.max(0, logprobs), common.promptLogprobs());
    SamplingParams watched = thinking.addTo(params, thought);
    return new TokenRequest(common, prompt, thought, form.addTo(watched, thought, true));
  }
}

package io.tercel.server.request;

import io.tercel.server.answer.AnswerParts;
import io.tercel.server.call.ApiException;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.model.ServedModel;
import io.tercel.server.text.PromptThought;
import java.util.List;

/**
 * A request of /v1/chat/completions, ready to be submitted.
 *
 * @param parts what the answer is taken apart into
 * @param topLogprobs likeliest tokens to report, or -1 for no log-probs at all
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record ChatRequest(
    CommonFields common, int[] prompt, AnswerParts parts, int topLogprobs, SamplingParams params) {
  private static final List<String> LIMITS = List.of("max_completion_tokens", "max_tokens");

  /**
   * Reads and checks all fields, renders and tokenizes.
   *
   * @throws ApiException if it can't be run as it is
   */
  public static ChatRequest read(RequestFields fields, ApiConfig config, ServedModel model) {
    return read(fields, config, model, false);
  }

  /**
   * As {@link #read(RequestFields, ApiConfig, ServedModel)}.
   *
   * @param cut whether an output that may be longer than the context leaves room for is cut there,
   *     not refused
   */
  public static ChatRequest read(
      RequestFields fields, ApiConfig config, ServedModel model, boolean cut) {
    CommonFields common = CommonFields.read(fields, config);
    if (fields.bool("echo", false)) {
      throw ApiException.unsupported("echo", "echo is for /v1/completions");
    }
    int topLogprobs = topLogprobs(fields);
    CommonFields.MaxTokens max = CommonFields.maxTokensField(fields, LIMITS, 1);
    // read once before rendering, so that a bad value costs no tokenizing
    SamplingReader sampling = new SamplingReader(fields, model.defaults());
    int widest = max.value() < 0 ? model.maxModelLen() : max.value();
    sampling.read(common, widest, Math.max(0, topLogprobs), common.promptLogprobs());
    ThinkingReader thinking = new ThinkingReader(fields, model, model.reasoning());
    FormReader form = new FormReader(fields, model);

    int[] prompt = ChatPrompt.tokens(fields, common.truncation(), max.value(), model);
    if (prompt.length == 0) {
      throw ApiException.invalid("messages", "the chat template made an empty prompt of these");
    }
    if (prompt.length >= model.maxModelLen()) {
      throw CommonFields.promptTooLong("messages", prompt.length, model.maxModelLen());
    }
    CommonFields.MaxTokens wanted = cut ? max.cutTo(model.maxModelLen() - prompt.length) : max;
    int maxTokens =
        CommonFields.maxTokens(wanted, Integer.MAX_VALUE, prompt.length, model.maxModelLen());
    PromptThought thought = model.thoughtOf(prompt);
    SamplingParams params =
        sampling.read(common, maxTokens, Math.max(0, topLogprobs), common.promptLogprobs());
    SamplingParams watched = thinking.addTo(params, thought);
    return new ChatRequest(
        common,
        prompt,
        new AnswerParts(model.markers(), thought, true, maxToolCalls(fields), form.present()),
        topLogprobs,
        form.addTo(watched, thought, true));
  }

  /** How many tool calls there may be: none without tools, one where they may not be parallel. */
  private static int maxToolCalls(RequestFields fields) {
    boolean parallel = fields.bool("parallel_tool_calls", true);
    return MessageReader.offersTools(fields) ? parallel ? Integer.MAX_VALUE : 1 : 0;
  }

  private static int topLogprobs(RequestFields fields) {
    boolean wanted = fields.bool("logprobs", false);
    int top = fields.integer("top_logprobs", 0, 0, SamplingReader.MAX_LOGPROBS);
    if (top > 0 && !wanted) {
      throw ApiException.invalid("top_logprobs", "top_logprobs needs logprobs to be true");
    }
    return wanted ? top : -1;
  }
}

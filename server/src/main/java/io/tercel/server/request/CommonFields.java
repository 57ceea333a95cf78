package io.tercel.server.request;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.answer.TextRules;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Caller;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.model.ServedModel;
import java.util.List;

/**
 * What both completion routes read alike, besides how tokens are drawn.
 *
 * @param n choices a prompt
 * @param returned what is told of the tokens
 * @param truncation how long a prompt may be before its beginning is left out
 * @param promptLogprobs likeliest tokens a prompt token, or -1
 * @param service how it is treated among others
 */
public record CommonFields(
    String model,
    int n,
    boolean stream,
    boolean includeUsage,
    TextRules text,
    Returned returned,
    Truncation truncation,
    int promptLogprobs,
    Service service) {
  private static final int MAX_STOPS = 64;

  public static CommonFields read(RequestFields fields, ApiConfig config) {
    UnsupportedFields.check(fields);
    boolean stream = fields.bool("stream", false);
    int n = fields.integer("n", 1, 1, config.maxChoices());
    int bestOf = fields.integer("best_of", n, 1, Integer.MAX_VALUE);
    if (bestOf != n) {
      throw ApiException.unsupported("best_of", "best_of must equal n: there is no ranking");
    }
    int promptLogprobs = fields.integer("prompt_logprobs", -1, 0, SamplingReader.MAX_LOGPROBS);
    if (stream && promptLogprobs >= 0) {
      throw ApiException.unsupported(
          "prompt_logprobs", "prompt_logprobs are not available with stream");
    }
    return new CommonFields(
        model(fields, config),
        n,
        stream,
        includeUsage(fields, stream),
        new TextRules(
            stops(fields),
            fields.bool("include_stop_str_in_output", false),
            fields.bool("skip_special_tokens", true)),
        Returned.read(fields),
        Truncation.read(fields),
        promptLogprobs,
        Service.read(fields));
  }

  /**
   * What the engine gets.
   *
   * @throws ApiException 403 if the caller's key is not for its class
   */
  public GenerationRequest generation(
      Caller caller, String id, int[] prompt, SamplingParams params) {
    GenerationRequest request =
        service.of(new GenerationRequest(id, prompt, params), caller.holder());
    caller.record().asks(model, CompletionId.whole(id), request.serviceClass());
    return request;
  }

  /** The model that a request names, which must be the served one. */
  public static String model(RequestFields fields, ApiConfig config) {
    String model = fields.string("model");
    if (model == null) {
      return config.modelNames().getFirst(); // one model is served, so it's clear which is meant
    }
    if (!config.modelNames().contains(model)) {
      throw ApiException.modelNotFound(model);
    }
    return model;
  }

  private static boolean includeUsage(RequestFields fields, boolean stream) {
    RequestFields options = fields.fields("stream_options");
    if (options == null) {
      return false;
    }
    if (!stream) {
      throw ApiException.invalid(
          "stream_options", "stream_options may only be given when stream is true");
    }
    return options.bool("include_usage", false);
  }

  private static List<String> stops(RequestFields fields) {
    List<String> stops = fields.strings("stop", MAX_STOPS);
    if (stops.contains("")) {
      throw ApiException.invalid("stop", "stop must not contain an empty string");
    }
    return stops;
  }

  /**
   * How many tokens may follow the prompt, which fits.
   *
   * @param absent how many if the request doesn't say
   * @throws ApiException if as many as wanted don't fit
   */
  public static int maxTokens(MaxTokens wanted, int absent, int promptLength, int maxModelLen) {
    int left = maxModelLen - promptLength;
    if (wanted.value() > left) {
      throw ApiException.contextLength(
          wanted.field(),
          ("%s is too large: %d. This model's maximum context length is %d tokens and the prompt"
                  + " has %d, which leaves %d.")
              .formatted(wanted.field(), wanted.value(), maxModelLen, promptLength, left));
    }
    return wanted.value() < 0 ? Math.min(absent, left) : wanted.value();
  }

  /**
   * A prompt that leaves no room for an answer.
   *
   * @param field that the prompt came from
   */
  public static ApiException promptTooLong(String field, int promptLength, int maxModelLen) {
    return ApiException.contextLength(
        field,
        ("This model's maximum context length is %d tokens, but the prompt has %d and leaves no"
                + " room for an answer. Please shorten it.")
            .formatted(maxModelLen, promptLength));
  }

  /**
   * Refuses a text that can't fit whatever its tokens are, before any work is spent on it: of so
   * many bytes even the longest tokens would be too many. A tokenizer may compose characters first
   * (NFC), which at most leaves a third of the bytes.
   *
   * @param field that the text came from
   * @param truncation what is left out of a prompt; of a much longer text not even then is anything
   *     made
   * @throws ApiException if so
   */
  public static void checkBytes(
      String field, String text, Truncation truncation, ServedModel model) {
    long least = (long) text.length() / (3L * model.tokenizer().longestTokenBytes());
    if (least > (long) truncation.longest() * model.maxModelLen()) { // a char has at least one byte
      throw ApiException.contextLength(
          field,
          ("This model's maximum context length is %d tokens, but the prompt of %d characters has"
                  + " at least %d. Please shorten it.")
              .formatted(model.maxModelLen(), text.length(), least));
    }
  }

  /**
   * The limit of the output as the request says it.
   *
   * @param names of fields that may say it, the stronger first
   */
  public static MaxTokens maxTokensField(RequestFields fields, List<String> names, int min) {
    for (String name : names) {
      JsonNode node = fields.get(name);
      if (node != null) {
        return new MaxTokens(
            name, RequestFields.integer(node, fields.path(name), min, Integer.MAX_VALUE));
      }
    }
    return new MaxTokens(names.getLast(), -1);
  }

  /**
   * A limit and the field that says it.
   *
   * @param value -1 where none does
   */
  public record MaxTokens(String field, int value) {
    /** Not above what is left. */
    MaxTokens cutTo(int left) {
      return new MaxTokens(field, Math.min(value, left));
    }
  }
}

package io.tercel.server.request;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.model.ServedModel;
import java.util.Arrays;

/**
 * How many of a prompt's tokens are kept, the last ones, as vLLM's {@code truncate_prompt_tokens}
 * says: the beginning of a longer one is left out.
 *
 * @param field that says it
 * @param tokens at most; -1 for as many as leave room for the answer; 0 to leave nothing out
 */
public record Truncation(String field, int tokens) {
  private static final String FIELD = "truncate_prompt_tokens";

  /** Nothing is left out. */
  public static final Truncation NONE = new Truncation(FIELD, 0);

  /**
   * How often a text may be longer than the context, for what is left out has to be tokenized too.
   */
  private static final int LONGEST = 8;

  /** As a request says it. */
  public static Truncation read(RequestFields fields) {
    String path = fields.path(FIELD);
    JsonNode node = fields.get(FIELD);
    if (node == null) {
      return NONE;
    }
    int tokens = RequestFields.integer(node, path, -1, Integer.MAX_VALUE);
    if (tokens == 0) {
      throw ApiException.invalid(
          path, path + " must be 1 or more, or -1 for as many as the model takes, not 0");
    }
    return new Truncation(path, tokens);
  }

  /** How many times longer than the context's a text may be that is to be tokenized. */
  int longest() {
    return tokens == 0 ? 1 : LONGEST;
  }

  /**
   * The prompt without what is too much.
   *
   * @param answer tokens that the request asks for at most; below 1 where it doesn't say
   * @throws ApiException if more are to be kept than the model takes
   */
  public int[] of(int[] prompt, int answer, ServedModel model) {
    int limit = model.maxModelLen();
    if (tokens > limit) {
      throw ApiException.invalid(
          field,
          "%s is %d, which is more than this model's maximum context length of %d; ask for fewer, or for -1"
              .formatted(field, tokens, limit));
    }
    if (tokens == 0) {
      return prompt;
    }
    // an answer that can't fit by itself is refused where it is read
    int most = tokens > 0 ? tokens : limit - Math.clamp(answer, 1, limit - 1);
    return prompt.length <= most
        ? prompt
        : Arrays.copyOfRange(prompt, prompt.length - most, prompt.length);
  }
}

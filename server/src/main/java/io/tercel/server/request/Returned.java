package io.tercel.server.request;

import io.tercel.server.call.ApiException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a request wants told of its tokens, besides their text.
 *
 * @param tokenIds the tokens themselves, and the prompt's
 * @param weightVersions which weights made them
 * @param forcedTokens which of them nothing else could have come in place of
 * @param tokensAsIds whether log-probs call tokens by ids, {@code token_id:5}, instead of texts
 * @param processedLogprobs whether log-probs are those of what was drawn from, not the model's own
 */
public record Returned(
    boolean tokenIds,
    boolean weightVersions,
    boolean forcedTokens,
    boolean tokensAsIds,
    boolean processedLogprobs) {
  private static final String MODE = "logprobs_mode";

  static Returned read(RequestFields fields) {
    return new Returned(
        fields.bool("return_token_ids", false),
        fields.bool("return_weight_versions", false),
        fields.bool("return_forced_tokens", false),
        fields.bool("return_tokens_as_token_ids", false),
        processed(fields));
  }

  private static boolean processed(RequestFields fields) {
    String mode = fields.string(MODE);
    return switch (mode) {
      case null -> false;
      case "raw", "raw_logprobs" -> false;
      case "processed", "processed_logprobs" -> true;
      default ->
          throw ApiException.unsupported(
              fields.path(MODE),
              "%s must be raw_logprobs, which are the model's own, or processed_logprobs, which are of what was drawn from, not '%s'"
                  .formatted(
                      fields.path(MODE), mode.length() > 40 ? mode.substring(0, 40) + "…" : mode));
    };
  }

  /** Places of forced tokens, where they were asked for; else null. */
  public @Nullable List<Integer> forced(List<Integer> places) {
    return forcedTokens ? places : null;
  }
}

package io.tercel.server.anthropic.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import org.jspecify.annotations.Nullable;

/**
 * Tokens of a message.
 *
 * @param inputTokens of the prompt that were computed for it; those that the prefix cache had are
 *     not among them
 * @param cacheCreationInputTokens always 0: what is computed is kept as it comes, at no price
 * @param cacheReadInputTokens of the prompt that the prefix cache had
 * @param outputTokens thought included
 * @param outputDetails null before there is an output
 */
public record MessageUsage(
    @JsonProperty("input_tokens") int inputTokens,
    @JsonProperty("cache_creation_input_tokens") int cacheCreationInputTokens,
    @JsonProperty("cache_read_input_tokens") int cacheReadInputTokens,
    @JsonProperty("output_tokens") int outputTokens,
    @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("output_tokens_details")
        @Nullable OutputDetails outputDetails,
    @JsonProperty("service_tier") String serviceTier) {

  /**
   * The part of the output that was thought, not said.
   *
   * @param thinkingTokens without the markers around them
   */
  public record OutputDetails(@JsonProperty("thinking_tokens") int thinkingTokens) {}

  /** Of a prompt whose answer begins. */
  public static MessageUsage begun(int prompt, int cached) {
    return new MessageUsage(prompt - cached, 0, cached, 0, null, "standard");
  }

  /** Of a whole answer. */
  public static MessageUsage of(int prompt, int cached, int output, int thinking) {
    return new MessageUsage(
        prompt - cached, 0, cached, output, new OutputDetails(thinking), "standard");
  }
}

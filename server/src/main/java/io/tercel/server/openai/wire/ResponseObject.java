package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * An answer of /v1/responses, whole or as far as it has come, with the request's settings as OpenAI
 * repeats them.
 *
 * @param status in_progress, completed, incomplete or cancelled
 * @param incompleteDetails why it is incomplete; null while it isn't
 * @param usage null before the end
 * @param tokens null before the end
 */
public record ResponseObject(
    String id,
    String object,
    @JsonProperty("created_at") long createdAt,
    String status,
    boolean background,
    @Nullable Object error,
    @JsonProperty("incomplete_details") @Nullable IncompleteDetails incompleteDetails,
    @Nullable JsonNode instructions,
    @JsonProperty("max_output_tokens") @Nullable JsonNode maxOutputTokens,
    JsonNode metadata,
    String model,
    List<ResponseItem> output,
    @JsonProperty("parallel_tool_calls") boolean parallelToolCalls,
    @JsonProperty("previous_response_id") @Nullable String previousResponseId,
    @Nullable JsonNode reasoning,
    boolean store,
    @JsonProperty("system_fingerprint") String systemFingerprint,
    float temperature,
    JsonNode text,
    @JsonProperty("tool_choice") JsonNode toolChoice,
    JsonNode tools,
    @JsonProperty("top_p") float topP,
    String truncation,
    @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable Usage usage,
    @JsonUnwrapped @Nullable Tokens tokens) {

  /**
   * What is told of the output's tokens, the thought's and the markers among them; each null unless
   * it was asked for.
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Tokens(
      @JsonProperty("token_ids") @Nullable List<Integer> ids,
      @JsonProperty("weight_versions") @Nullable List<WeightVersion> weightVersions,
      @JsonProperty("forced_tokens") @Nullable List<Integer> forced) {}

  /** Why a response is incomplete. */
  public record IncompleteDetails(String reason) {}

  /** Tokens in and out, by the names that this route has for them. */
  public record Usage(
      @JsonProperty("input_tokens") int inputTokens,
      @JsonProperty("input_tokens_details") InputDetails inputDetails,
      @JsonProperty("output_tokens") int outputTokens,
      @JsonProperty("output_tokens_details") OutputDetails outputDetails,
      @JsonProperty("total_tokens") int totalTokens) {

    /**
     * The part of the input that the prefix cache spared.
     *
     * @param cacheWriteTokens what a client is charged for caching: nothing
     */
    public record InputDetails(
        @JsonProperty("cached_tokens") int cachedTokens,
        @JsonProperty("cache_write_tokens") int cacheWriteTokens) {}

    /** The part of the output that was thought, not said. */
    public record OutputDetails(@JsonProperty("reasoning_tokens") int reasoningTokens) {}

    public static Usage of(int input, int output, int cached, int reasoning) {
      return new Usage(
          input, new InputDetails(cached, 0), output, new OutputDetails(reasoning), input + output);
    }
  }
}

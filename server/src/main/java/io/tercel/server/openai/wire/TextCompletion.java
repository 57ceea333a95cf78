package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An answer of /v1/completions, whole or a streamed part of it: both have this shape. */
public record TextCompletion(
    String id,
    String object,
    long created,
    String model,
    @JsonProperty("system_fingerprint") String systemFingerprint,
    List<Choice> choices,
    @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable UsageSlot usage) {

  /**
   * One continuation of one prompt.
   *
   * @param finishReason null while it goes on
   * @param stopReason the stop string or the stop token id that ended it, else null
   */
  public record Choice(
      int index,
      String text,
      @Nullable TextLogprobs logprobs,
      @JsonProperty("finish_reason") @Nullable String finishReason,
      @JsonProperty("stop_reason") @Nullable Object stopReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("prompt_logprobs")
          @Nullable List<@Nullable Map<String, PromptLogprob>> promptLogprobs,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("prompt_token_ids")
          @Nullable List<Integer> promptTokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("token_ids")
          @Nullable List<Integer> tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("weight_versions")
          @Nullable List<WeightVersion> weightVersions,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("forced_tokens")
          @Nullable List<Integer> forcedTokens) {}
}

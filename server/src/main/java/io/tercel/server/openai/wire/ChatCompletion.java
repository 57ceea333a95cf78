package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A whole answer of /v1/chat/completions. */
public record ChatCompletion(
    String id,
    String object,
    long created,
    String model,
    List<Choice> choices,
    Usage usage,
    @JsonProperty("system_fingerprint") String systemFingerprint,
    @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("prompt_logprobs")
        @Nullable List<@Nullable Map<String, PromptLogprob>> promptLogprobs,
    @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("prompt_token_ids")
        @Nullable List<Integer> promptTokenIds) {

  /**
   * One of the n answers.
   *
   * @param stopReason the stop string or the stop token id that ended it, else null
   */
  public record Choice(
      int index,
      ChatMessage message,
      @Nullable ChatLogprobs logprobs,
      @JsonProperty("finish_reason") String finishReason,
      @JsonProperty("stop_reason") @Nullable Object stopReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("token_ids")
          @Nullable List<Integer> tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("weight_versions")
          @Nullable List<WeightVersion> weightVersions,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("forced_tokens")
          @Nullable List<Integer> forcedTokens) {}
}

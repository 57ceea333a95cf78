package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A part of a streamed answer of /v1/chat/completions. */
public record ChatCompletionChunk(
    String id,
    String object,
    long created,
    String model,
    @JsonProperty("system_fingerprint") String systemFingerprint,
    List<Choice> choices,
    @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable UsageSlot usage,
    @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("prompt_token_ids")
        @Nullable List<Integer> promptTokenIds) {

  /**
   * What one choice gained.
   *
   * @param stopReason only on the last chunk of a choice
   */
  public record Choice(
      int index,
      ChatDelta delta,
      @Nullable ChatLogprobs logprobs,
      @JsonProperty("finish_reason") @Nullable String finishReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("stop_reason")
          @Nullable Object stopReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("token_ids")
          @Nullable List<Integer> tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("weight_versions")
          @Nullable List<WeightVersion> weightVersions,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("forced_tokens")
          @Nullable List<Integer> forcedTokens) {}
}

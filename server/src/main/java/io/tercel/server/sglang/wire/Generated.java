package io.tercel.server.sglang.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One answer of {@code /generate}, or what there is of it so far where it is streamed.
 *
 * @param index among the answers of a streamed request of several; else null
 */
public record Generated(
    String text,
    @JsonProperty("output_ids") List<Integer> outputIds,
    @JsonProperty("meta_info") MetaInfo metaInfo,
    @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Integer index) {

  /**
   * What is told besides.
   *
   * @param finishReason null while it goes on
   * @param weightVersion of the weights that made the last token
   * @param weightVersions null unless asked for
   * @param forcedTokens places among the output, null unless asked for
   * @param scores null unless asked for
   */
  public record MetaInfo(
      String id,
      @JsonProperty("finish_reason") @Nullable FinishReason finishReason,
      @JsonProperty("prompt_tokens") int promptTokens,
      @JsonProperty("completion_tokens") int completionTokens,
      @JsonProperty("cached_tokens") int cachedTokens,
      @JsonProperty("weight_version") long weightVersion,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("e2e_latency")
          @Nullable Double latencySeconds,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("weight_versions")
          @Nullable List<VersionRun> weightVersions,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("forced_tokens")
          @Nullable List<Integer> forcedTokens,
      @JsonUnwrapped @Nullable Scores scores) {}

  /** Tokens in a row that the same weights made. */
  public record VersionRun(long version, int tokens) {}

  /**
   * Log-probs.
   *
   * @param inputTop null where no alternatives were asked for, as is {@code outputTop}; null for
   *     the first, as its log-prob
   */
  public record Scores(
      @JsonProperty("input_token_logprobs") List<TokenScore> input,
      @JsonProperty("output_token_logprobs") List<TokenScore> output,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("input_top_logprobs")
          @Nullable List<@Nullable List<TokenScore>> inputTop,
      @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("output_top_logprobs")
          @Nullable List<List<TokenScore>> outputTop) {}
}

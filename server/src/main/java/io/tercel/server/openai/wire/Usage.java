package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonProperty;

/** Tokens in and out. */
public record Usage(
    @JsonProperty("prompt_tokens") int promptTokens,
    @JsonProperty("completion_tokens") int completionTokens,
    @JsonProperty("total_tokens") int totalTokens,
    @JsonProperty("prompt_tokens_details") PromptDetails promptDetails,
    @JsonProperty("completion_tokens_details") CompletionDetails completionDetails) {

  /**
   * The part of the prompt that the prefix cache spared.
   *
   * @param cachedTokens never counted twice for the choices of one prompt
   */
  public record PromptDetails(@JsonProperty("cached_tokens") int cachedTokens) {}

  /**
   * The part of the completion that was thought, not said.
   *
   * @param reasoningTokens markers included
   */
  public record CompletionDetails(@JsonProperty("reasoning_tokens") int reasoningTokens) {}

  public static Usage of(int prompt, int completion, int cached, int reasoning) {
    return new Usage(
        prompt,
        completion,
        prompt + completion,
        new PromptDetails(cached),
        new CompletionDetails(reasoning));
  }
}

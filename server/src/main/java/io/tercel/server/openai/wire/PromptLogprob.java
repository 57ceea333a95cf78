package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonProperty;

/** A prompt token's score, as vLLM gives it under the token's id. */
public record PromptLogprob(
    float logprob, int rank, @JsonProperty("decoded_token") String decodedToken) {}

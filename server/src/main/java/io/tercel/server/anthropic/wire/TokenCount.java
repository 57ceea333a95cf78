package io.tercel.server.anthropic.wire;

import com.fasterxml.jackson.annotation.JsonProperty;

/** How many tokens a prompt has. */
public record TokenCount(@JsonProperty("input_tokens") int inputTokens) {}

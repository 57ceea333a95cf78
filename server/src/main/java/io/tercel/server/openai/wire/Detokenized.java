package io.tercel.server.openai.wire;

/** An answer of /detokenize. */
public record Detokenized(String prompt) {}

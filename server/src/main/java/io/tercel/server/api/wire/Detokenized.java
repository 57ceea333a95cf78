package io.tercel.server.api.wire;

/** An answer of /detokenize. */
public record Detokenized(String prompt) {}

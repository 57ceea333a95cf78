package io.tercel.server.openai.wire;

/**
 * Tokens in a row that the same weights made.
 *
 * @param version of the weights; 1 are those that the server began with
 */
public record WeightVersion(long version, int tokens) {}

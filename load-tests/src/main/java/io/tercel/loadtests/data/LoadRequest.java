package io.tercel.loadtests.data;

/**
 * One request of a workload.
 *
 * @param index its place in the workload, from 0
 * @param maxTokens the longest answer, in tokens, thinking included; 0 leaves it to the server
 * @param seed of its sampling
 */
public record LoadRequest(long index, Prompt prompt, int maxTokens, long seed) {}

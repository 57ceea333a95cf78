package io.tercel.server.engine;

/**
 * A reading of the engine's gauges and counters, for /metrics and tests. Counters run from the
 * start.
 *
 * @param running sequences that hold blocks
 * @param waiting sequences that wait for their first step (or again, after a preemption)
 * @param freeBlocks KV blocks that no sequence holds, those with cached content included
 * @param cachedBlocks KV blocks that no sequence holds and whose content is cached
 * @param totalBlocks all KV blocks
 * @param promptTokens of prompts whose first token was drawn, found ones included, once a choice
 * @param computedPromptTokens prompt tokens that were computed, again after a preemption too
 * @param generationTokens tokens generated
 * @param preemptions sequences set back for want of room
 * @param steps backend calls
 * @param prefixQueries tokens of new sequences that were looked up in the prefix cache
 * @param prefixHits tokens of those that were found
 * @param prefixRecovered tokens that sequences found when they came back after a preemption
 * @param stopped choices finished by an end token, or stopped by their client
 * @param lengthLimited choices finished by their length
 * @param repetitive choices ended because they repeated themselves
 * @param aborted choices cancelled or failed
 * @param broken choices that failed because the model computed NaN, among the aborted ones
 * @param weightVersion of the weights that the next step computes with
 */
public record EngineStats(
    int running,
    int waiting,
    int freeBlocks,
    int cachedBlocks,
    int totalBlocks,
    long promptTokens,
    long computedPromptTokens,
    long generationTokens,
    long preemptions,
    long steps,
    long prefixQueries,
    long prefixHits,
    long prefixRecovered,
    long stopped,
    long lengthLimited,
    long repetitive,
    long aborted,
    long broken,
    long weightVersion) {

  /** The same reading with so many more waiting. */
  EngineStats withMoreWaiting(int more) {
    return more == 0
        ? this
        : new EngineStats(
            running,
            waiting + more,
            freeBlocks,
            cachedBlocks,
            totalBlocks,
            promptTokens,
            computedPromptTokens,
            generationTokens,
            preemptions,
            steps,
            prefixQueries,
            prefixHits,
            prefixRecovered,
            stopped,
            lengthLimited,
            repetitive,
            aborted,
            broken,
            weightVersion);
  }
}

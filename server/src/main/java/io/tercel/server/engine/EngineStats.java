package io.tercel.server.engine;

/**
 * A reading of the engine's gauges and counters, for /metrics and tests.
 *
 * @param running sequences that hold blocks
 * @param waiting sequences that wait for their first step (or again, after a preemption)
 * @param freeBlocks KV blocks that no sequence holds
 * @param totalBlocks all KV blocks
 * @param promptTokens prompt tokens computed since start
 * @param generationTokens tokens generated since start
 * @param preemptions since start
 * @param steps backend calls since start
 * @param stopped choices finished by an end token
 * @param lengthLimited choices finished by their length
 * @param aborted choices cancelled
 */
public record EngineStats(
    int running,
    int waiting,
    int freeBlocks,
    int totalBlocks,
    long promptTokens,
    long generationTokens,
    long preemptions,
    long steps,
    long stopped,
    long lengthLimited,
    long aborted) {

  /** The same reading with so many more waiting. */
  EngineStats withMoreWaiting(int more) {
    return more == 0
        ? this
        : new EngineStats(
            running,
            waiting + more,
            freeBlocks,
            totalBlocks,
            promptTokens,
            generationTokens,
            preemptions,
            steps,
            stopped,
            lengthLimited,
            aborted);
  }
}

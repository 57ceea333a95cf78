package io.tercel.server.engine;

import io.tercel.server.engine.EngineEvent.FinishReason;
import java.util.Map;

/**
 * A reading of the engine's gauges and counters, for /metrics and tests. Counters run from the
 * start.
 *
 * @param running sequences that hold blocks
 * @param waiting sequences that wait for their first step (or again, after a preemption)
 * @param work what was done
 * @param finished choices that ended, by how; ABORT is cancelled or failed
 * @param weightVersion of the weights that the next step computes with
 */
public record EngineStats(
    int running,
    int waiting,
    KvBlocks blocks,
    Work work,
    PrefixHits prefix,
    Map<FinishReason, Long> finished,
    long weightVersion) {

  /**
   * KV blocks.
   *
   * @param free those that no sequence holds, those with cached content included
   * @param cached those that no sequence holds and whose content is cached
   */
  public record KvBlocks(int free, int cached, int total) {}

  /**
   * Steps and tokens.
   *
   * @param steps backend calls
   * @param promptTokens of prompts whose first token was drawn, found ones included, once a choice
   * @param computedPromptTokens prompt tokens that were computed, again after a preemption too
   * @param generationTokens tokens generated
   * @param preemptions sequences set back for want of room
   * @param nanSequences sequences that failed because the model computed NaN
   */
  public record Work(
      long steps,
      long promptTokens,
      long computedPromptTokens,
      long generationTokens,
      long preemptions,
      long nanSequences) {}

  /**
   * The prefix cache's success, in tokens.
   *
   * @param queries of new sequences, looked up
   * @param hits of those, found
   * @param recovered what sequences found when they came back after a preemption
   */
  public record PrefixHits(long queries, long hits, long recovered) {}

  public EngineStats {
    finished = Map.copyOf(finished);
  }

  /** Choices that ended so. */
  public long finished(FinishReason reason) {
    return finished.getOrDefault(reason, 0L);
  }

  /** The same reading with so many more waiting. */
  EngineStats withMoreWaiting(int more) {
    return more == 0
        ? this
        : new EngineStats(running, waiting + more, blocks, work, prefix, finished, weightVersion);
  }
}

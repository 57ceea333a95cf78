package io.tercel.server.engine;

import io.tercel.server.engine.EngineEvent.FinishReason;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * A reading of the engine's gauges and counters, for /metrics and tests. Counters run from the
 * start.
 *
 * @param classes by class of service
 * @param brokenKv kept keys that were lost all the same
 * @param drafts tokens drafted, and what became of them
 * @param finished choices that ended, by how; ABORT is cancelled or failed
 * @param weightVersion of the weights that the next step computes with
 */
public record EngineStats(
    Map<ServiceClass, OfClass> classes,
    KvBlocks blocks,
    Work work,
    PrefixHits prefix,
    BrokenKv brokenKv,
    Drafts drafts,
    Map<FinishReason, Long> finished,
    long weightVersion) {

  /**
   * One class of service.
   *
   * @param running sequences that hold blocks
   * @param waiting sequences that wait for their first step (or again, after a preemption)
   * @param stalled of both, those whose clients must read before they go on
   * @param generationTokens tokens generated
   * @param preemptions sequences set back for want of room, or for another class or priority
   */
  public record OfClass(
      int running, int waiting, int stalled, long generationTokens, long preemptions) {
    private static final OfClass NONE = new OfClass(0, 0, 0, 0, 0);
  }

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
   * @param preemptions sequences set back, of all classes
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
   * Sequences that were to keep their keys at new weights and were set back afterwards, see {@link
   * EngineEvent.BrokenKv}.
   *
   * @param times how often that was
   * @param tokens whose older keys were lost
   */
  public record BrokenKv(long times, long tokens) {}

  /**
   * Speculation's success.
   *
   * @param drafts sequences' parts of steps that held a draft
   * @param tokens drafted and verified
   * @param acceptedByPlace of those, the ones that came true, by their place in the draft
   */
  public record Drafts(long drafts, long tokens, List<Long> acceptedByPlace) {
    public Drafts {
      acceptedByPlace = List.copyOf(acceptedByPlace);
    }

    /** Drafted tokens that came true. */
    public long accepted() {
      return acceptedByPlace.stream().mapToLong(Long::longValue).sum();
    }
  }

  /**
   * The prefix cache's success, in tokens.
   *
   * @param queries of new sequences, looked up
   * @param hits of those, found
   * @param recovered what sequences found when they came back after a preemption
   */
  public record PrefixHits(long queries, long hits, long recovered) {}

  public EngineStats {
    classes = Map.copyOf(classes);
    finished = Map.copyOf(finished);
  }

  /** Choices that ended so. */
  public long finished(FinishReason reason) {
    return finished.getOrDefault(reason, 0L);
  }

  public OfClass of(ServiceClass c) {
    return classes.getOrDefault(c, OfClass.NONE);
  }

  /** Sequences that hold blocks. */
  public int running() {
    return classes.values().stream().mapToInt(OfClass::running).sum();
  }

  /** Sequences that wait. */
  public int waiting() {
    return classes.values().stream().mapToInt(OfClass::waiting).sum();
  }

  /** Sequences whose clients must read before they go on. */
  public int stalled() {
    return classes.values().stream().mapToInt(OfClass::stalled).sum();
  }

  /** The same reading with so many waiting. */
  EngineStats withWaiting(Map<ServiceClass, Integer> waiting) {
    Map<ServiceClass, OfClass> with = new EnumMap<>(ServiceClass.class);
    for (ServiceClass c : ServiceClass.values()) {
      OfClass is = of(c);
      with.put(
          c,
          new OfClass(
              is.running(),
              waiting.getOrDefault(c, is.waiting()),
              is.stalled(),
              is.generationTokens(),
              is.preemptions()));
    }
    return new EngineStats(with, blocks, work, prefix, brokenKv, drafts, finished, weightVersion);
  }
}

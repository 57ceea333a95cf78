package io.tercel.server.engine;

import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;

/**
 * Makes the engine's readings out of its parts' counters, and settles the waiting room with what
 * the loop has seen. {@link #latest} may be asked from any thread; all else belongs to the engine
 * thread.
 */
final class StatsPublisher {
  private final Scheduler scheduler;
  private final BlockManager blocks;
  private final Stepper stepper;
  private final WaitingRoom waitingRoom;
  private final Map<ServiceClass, Integer> admitted = new EnumMap<>(ServiceClass.class);
  private final Map<ServiceClass, Integer> waited = new EnumMap<>(ServiceClass.class);
  private volatile EngineStats latest;

  StatsPublisher(
      Scheduler scheduler,
      BlockManager blocks,
      Stepper stepper,
      WaitingRoom waitingRoom,
      long weightVersion) {
    this.scheduler = scheduler;
    this.blocks = blocks;
    this.stepper = stepper;
    this.waitingRoom = waitingRoom;
    this.latest = reading(weightVersion);
  }

  /** So many sequences, counted by the waiting room so far, are the scheduler's now. */
  void admitted(ServiceClass c, int sequences) {
    admitted.merge(c, sequences, Integer::sum);
  }

  /** The latest reading; requests that the loop has not seen yet count as waiting. */
  EngineStats latest() {
    Map<ServiceClass, Integer> waiting = new EnumMap<>(ServiceClass.class);
    for (ServiceClass c : ServiceClass.values()) {
      waiting.put(c, waitingRoom.waiting(c)); // first: who runs by now may be counted as both
    }
    return latest.withWaiting(waiting);
  }

  /** First the reading, then the waiting room: a reader in between misses nobody who runs now. */
  void publish(long weightVersion) {
    latest = reading(weightVersion);
    for (ServiceClass c : ServiceClass.values()) {
      int waits = scheduler.queue(c).numWaiting();
      int before = Objects.requireNonNullElse(waited.put(c, waits), 0);
      int entered = Objects.requireNonNullElse(admitted.remove(c), 0);
      waitingRoom.change(c, waits - before - entered); // those entered are counted since then
    }
  }

  private EngineStats reading(long weightVersion) {
    Map<ServiceClass, EngineStats.OfClass> classes = new EnumMap<>(ServiceClass.class);
    long generationTokens = 0;
    for (ServiceClass c : ServiceClass.values()) {
      ClassQueue queue = scheduler.queue(c);
      long tokens = stepper.generationTokens(c);
      generationTokens += tokens;
      classes.put(
          c,
          new EngineStats.OfClass(
              queue.numRunning(),
              queue.numWaiting(),
              queue.numStalled(),
              tokens,
              queue.preemptions()));
    }
    return new EngineStats(
        classes,
        new EngineStats.KvBlocks(blocks.numFree(), blocks.numCachedFree(), blocks.numBlocks()),
        new EngineStats.Work(
            stepper.steps(),
            stepper.promptTokens(),
            stepper.computedPromptTokens(),
            generationTokens,
            scheduler.preemptions(),
            stepper.nanSequences()),
        new EngineStats.PrefixHits(
            blocks.queriedTokens(), blocks.hitTokens(), blocks.recoveredTokens()),
        scheduler.brokenKv(),
        stepper.drafts(),
        stepper.finished(),
        weightVersion);
  }
}

package io.tercel.server.engine;

import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * How many sequences of each class wait, those included that were submitted and that the engine's
 * loop has not seen yet; and whether more may. One number a class, so that nobody is counted twice
 * or not at all; used from any thread.
 */
final class WaitingRoom {
  private final EngineConfig config;
  private final AtomicIntegerArray waiting = new AtomicIntegerArray(ServiceClass.values().length);

  WaitingRoom(EngineConfig config) {
    this.config = config;
  }

  /**
   * Takes places for the sequences of a request. What fits the running places is let in whenever
   * nobody of its class waits, so that a quota of 0 means "nobody waits behind a request that
   * waits", and nothing that an idle engine could run is refused.
   *
   * @throws InvalidRequestException if so many are never let in
   * @throws OverloadedException if too many wait now
   */
  void enter(ServiceClass c, int sequences) {
    int quota = config.quota(c).maxWaiting();
    if (sequences > Math.max(quota, config.maxNumSeqs())) {
      throw new InvalidRequestException(
          "n",
          "invalid_value",
          ("%d sequences are asked for at once, but at most %d of class %s may wait and %d may run;"
                  + " ask for fewer choices or prompts in a request")
              .formatted(sequences, quota, c.label(), config.maxNumSeqs()));
    }
    while (true) {
      int before = waiting(c);
      if (before > 0 && before + sequences > quota) {
        throw new OverloadedException(
            "too many requests of class %s are waiting; try again later".formatted(c.label()),
            false);
      }
      if (waiting.compareAndSet(c.ordinal(), before, before + sequences)) {
        return;
      }
    }
  }

  /** The loop has seen so many more wait, or fewer when it is negative. */
  void change(ServiceClass c, int by) {
    waiting.addAndGet(c.ordinal(), by);
  }

  int waiting(ServiceClass c) {
    return waiting.get(c.ordinal());
  }
}

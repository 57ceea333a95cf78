package io.tercel.server.engine;

import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.ToIntFunction;

/**
 * How many more sequences of each class may wait. Counts those that were submitted and that the
 * engine's loop has not counted yet; used from any thread.
 */
final class WaitingRoom {
  private final EngineConfig config;
  private final AtomicIntegerArray submitted = new AtomicIntegerArray(ServiceClass.values().length);

  WaitingRoom(EngineConfig config) {
    this.config = config;
  }

  /**
   * Takes places for the sequences of a request. What fits the running places is let in whenever
   * nobody of its class waits, so that a quota of 0 means "nobody waits behind a request that
   * waits", and nothing that an idle engine could run is refused.
   *
   * @param counted those of the class that the loop has counted as waiting
   * @throws InvalidRequestException if so many are never let in
   * @throws OverloadedException if too many wait now
   */
  void enter(ServiceClass c, int sequences, ToIntFunction<ServiceClass> counted) {
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
      int before = submitted(c); // read before what the loop has counted, see left()
      int waiting = before + counted.applyAsInt(c);
      if (waiting > 0 && waiting + sequences > quota) {
        throw new OverloadedException(
            "too many requests of class %s are waiting; try again later".formatted(c.label()),
            false);
      }
      if (submitted.compareAndSet(c.ordinal(), before, before + sequences)) {
        return;
      }
    }
  }

  /**
   * The loop counts so many as waiting or running now. It publishes its count first and calls this
   * second, and readers read {@link #submitted} first and its count second: so a reader in between
   * may count a sequence twice, but never misses one.
   */
  void left(ServiceClass c, int sequences) {
    submitted.addAndGet(c.ordinal(), -sequences);
  }

  /** Sequences of the class that the loop has not counted yet. */
  int submitted(ServiceClass c) {
    return submitted.get(c.ordinal());
  }
}

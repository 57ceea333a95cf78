package io.tercel.server.engine;

/** A submitted request as its client sees it: events to take in order, and a way to leave. */
public interface Generation {

  String id();

  /**
   * The next event; waits for it. Meant for a virtual thread. After every choice has finished, or a
   * {@link EngineEvent.Failed}, there is no next one to take.
   */
  EngineEvent take() throws InterruptedException;

  /**
   * Ends one choice; its {@link EngineEvent.Finished} follows (ABORT), its blocks are free before
   * the next step.
   */
  void cancel(int choice);

  /**
   * Ends one choice that has said all its client wants, a stop string for instance; its {@link
   * EngineEvent.Finished} follows (STOP).
   */
  void stop(int choice);

  /** Ends all choices. Idempotent, from any thread. */
  void cancel();
}

package io.tercel.server.engine;

/** Takes requests and runs them in batches. */
public interface Engine extends AutoCloseable {

  /**
   * Queues a request.
   *
   * @throws InvalidRequestException if it can never run: a parameter out of range, a prompt that
   *     doesn't fit
   * @throws OverloadedException if no more may wait, or the engine is closing or dead
   */
  Generation submit(GenerationRequest request);

  /** Prompt and output tokens together may be this many. */
  int maxModelLen();

  EngineStats stats();

  /** Whether its loop runs and admits requests. */
  boolean ready();

  /** Stops admissions; running requests go on. */
  void drain();

  /** Ends everything; every open generation gets its end. */
  @Override
  void close();
}

package io.tercel.server.batch;

/** Is told how far a run has come; by one thread. */
public interface BatchProgress extends AutoCloseable {

  /**
   * Before the first.
   *
   * @param total requests of the file
   * @param kept of them, those that were answered before
   */
  void begin(int total, int kept);

  /**
   * An answer came, not necessarily the next in order.
   *
   * @param tokens that it has
   * @param failed whether it is an error
   */
  void answered(long tokens, boolean failed);

  @Override
  void close();
}

package io.tercel.server.hub;

/** Hears how a download goes; called from one thread. */
public interface DownloadProgress extends AutoCloseable {
  /** Says nothing. */
  DownloadProgress SILENT = new DownloadProgress() {};

  /** Says something to the user, such as that another process is being waited for. */
  default void note(String line) {}

  /**
   * A set of files begins.
   *
   * @param total bytes of all files to come
   */
  default void begin(String model, long total) {}

  /** The next file begins. */
  default void file(String name) {}

  /** How much of the total is there; it falls when a damaged file is fetched again. */
  default void done(long bytes) {}

  /** The end, good or bad. */
  @Override
  default void close() {}
}

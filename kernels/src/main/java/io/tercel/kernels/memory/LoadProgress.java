package io.tercel.kernels.memory;

/** Told how loading goes, on the loading thread, after each matrix. */
@FunctionalInterface
public interface LoadProgress {
  /** Says nothing to nobody. */
  LoadProgress SILENT = (name, doneBytes, totalBytes) -> {};

  /**
   * @param name of the matrix that is there now
   * @param doneBytes of packed weights so far
   * @param totalBytes as planned
   */
  void loaded(String name, long doneBytes, long totalBytes);

  /** Something went as it should. */
  default void note(String message) {}

  /** Something did not, and loading goes on. */
  default void warn(String message) {}

  /** A matrix that the checkpoint has in more bits was rounded to fewer. */
  default void rounded(String name, RoundingLoss loss) {}
}

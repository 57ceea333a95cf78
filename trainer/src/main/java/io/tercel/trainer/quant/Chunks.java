package io.tercel.trainer.quant;

import java.util.stream.IntStream;

/**
 * Work on the elements of an array, each by itself, by all processors. Where the cuts lie depends
 * on the array's length alone: what is summed per chunk, and then in order, is the same to the bit
 * on any machine.
 */
public final class Chunks {
  /** Elements of a chunk; the last may have fewer. */
  public static final int SIZE = 1 << 15;

  private Chunks() {}

  /** Elements from..to-1. */
  @FunctionalInterface
  public interface Task {
    void run(int from, int to);
  }

  /** Chunks of so many elements. */
  public static int count(int elements) {
    return Math.ceilDiv(elements, SIZE);
  }

  /** Runs the task on all chunks and waits for them. */
  public static void forEach(int elements, Task task) {
    IntStream.range(0, count(elements))
        .parallel()
        .forEach(i -> task.run(i * SIZE, Math.min(elements, (i + 1) * SIZE)));
  }

  /**
   * Runs the task on whole rows of a matrix, about {@value #SIZE} elements at a time, and waits.
   *
   * @param task gets the first row and that behind the last
   */
  public static void rows(int rows, int cols, Task task) {
    int together = Math.max(1, SIZE / Math.max(1, cols));
    IntStream.range(0, Math.ceilDiv(rows, together))
        .parallel()
        .forEach(i -> task.run(i * together, Math.min(rows, (i + 1) * together)));
  }
}

package io.tercel.trainer.ptq;

import io.tercel.kernels.ops.Ops;
import java.util.Arrays;

/**
 * H = 2/n X^T X of the inputs of linear layers that read the same input, where n counts sequences.
 * Memory: 8 cols^2 bytes, of which the upper triangle is used.
 */
public final class Hessian {
  /** Tokens that are summed in floats before they join the doubles. */
  private static final int CHUNK = 128;

  private static final int ROWS_PER_TASK = 8;

  private final int cols;
  private final double[] h;
  private long sequences;

  public Hessian(int cols) {
    this.cols = cols;
    this.h = new double[Math.multiplyExact(cols, cols)];
  }

  /** Inputs of the layers. */
  public int cols() {
    return cols;
  }

  /** Sequences seen. */
  public long sequences() {
    return sequences;
  }

  /** H of inputs i and j. */
  public double at(int i, int j) {
    return h[Math.min(i, j) * cols + Math.max(i, j)];
  }

  /** Sets one pair, for tests and for matrices computed elsewhere. */
  void set(int i, int j, double value) {
    h[Math.min(i, j) * cols + Math.max(i, j)] = value;
  }

  /**
   * Adds a batch: H n / (n + b), then n + b, then + 2/n X^T X.
   *
   * @param x [tokens, cols]
   * @param batch how many sequences these tokens are, b
   */
  public void add(float[] x, int tokens, int batch, Ops ops) {
    double keep = (double) sequences / (sequences + batch);
    sequences += batch;
    double weight = 2.0 / sequences;
    int tasks = Math.ceilDiv(cols, ROWS_PER_TASK);
    ops.forEach(
        tasks,
        (task, worker) -> {
          int from = task * ROWS_PER_TASK;
          int to = Math.min(cols, from + ROWS_PER_TASK);
          addRows(x, tokens, from, to, keep, weight);
        });
  }

  private void addRows(float[] x, int tokens, int from, int to, double keep, double weight) {
    float[] partial = new float[cols];
    float[] column = new float[CHUNK];
    for (int i = from; i < to; i++) {
      int row = i * cols;
      for (int k = i; k < cols; k++) {
        h[row + k] *= keep;
      }
    }
    for (int first = 0; first < tokens; first += CHUNK) {
      int count = Math.min(CHUNK, tokens - first);
      for (int i = from; i < to; i++) {
        for (int t = 0; t < count; t++) {
          column[t] = x[(first + t) * cols + i];
        }
        Arrays.fill(partial, i, cols, 0);
        Axpy.add(partial, i, cols - i, column, 0, count, x, first * cols + i, cols);
        int row = i * cols;
        for (int k = i; k < cols; k++) {
          h[row + k] += weight * partial[k];
        }
      }
    }
  }
}

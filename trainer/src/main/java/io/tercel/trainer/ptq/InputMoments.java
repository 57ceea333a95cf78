package io.tercel.trainer.ptq;

import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.quant.Grid;
import java.util.Arrays;

/**
 * What AWQ wants to know of the inputs of linears: how strong each is, and of each group of 128 the
 * sums of products, X^T X, by which an error of that group's weights becomes one of the output.
 * Memory: 128 cols floats and doubles.
 */
final class InputMoments {
  /** Tokens that are summed in floats before they join the doubles. */
  private static final int CHUNK = 128;

  private final int cols;
  private final double[] absolute;
  private final double[][] products;
  private long tokens;

  InputMoments(int cols) {
    this.cols = cols;
    this.absolute = new double[cols];
    this.products = new double[Grid.groups(cols)][];
    for (int g = 0; g < products.length; g++) {
      int size = size(g);
      products[g] = new double[size * size];
    }
  }

  private int size(int group) {
    return Math.min(Grid.GROUP, cols - group * Grid.GROUP);
  }

  /**
   * Adds a batch.
   *
   * @param x [tokens, cols]
   */
  void add(float[] x, int count, Ops ops) {
    tokens += count;
    ops.forEach(products.length, (group, worker) -> addGroup(x, count, group));
  }

  private void addGroup(float[] x, int count, int group) {
    int size = size(group);
    int at = group * Grid.GROUP;
    float[] partial = new float[size];
    float[] column = new float[CHUNK];
    for (int first = 0; first < count; first += CHUNK) {
      int n = Math.min(CHUNK, count - first);
      float[][] rows = new float[n][];
      for (int t = 0; t < n; t++) {
        int from = (first + t) * cols + at;
        rows[t] = Arrays.copyOfRange(x, from, from + size);
      }
      for (int i = 0; i < size; i++) {
        for (int t = 0; t < n; t++) {
          column[t] = rows[t][i];
          absolute[at + i] += Math.abs(column[t]);
        }
        Arrays.fill(partial, 0);
        Axpy.add(partial, 0, size, column, n, rows, 0);
        for (int k = 0; k < size; k++) {
          products[group][i * size + k] += partial[k];
        }
      }
    }
  }

  /** Mean |x| of each input. */
  double[] strengths() {
    return Arrays.stream(absolute).map(a -> a / Math.max(1, tokens)).toArray();
  }

  /** The mean products of a group's inputs, each divided by its factor: [size][size]. */
  float[][] products(int group, float[] factors) {
    int size = size(group);
    int at = group * Grid.GROUP;
    float[][] means = new float[size][size];
    for (int i = 0; i < size; i++) {
      for (int k = 0; k < size; k++) {
        double factor = (double) factors[at + i] * factors[at + k] * Math.max(1, tokens);
        means[i][k] = (float) (products[group][i * size + k] / factor);
      }
    }
    return means;
  }
}

package io.tercel.trainer.ptq.transform;

import java.util.Arrays;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The Kronecker product of two small square matrices, applied to row vectors: x (L kron R). A row
 * of m * n is read as a matrix [m, n], row-major, and becomes L^T mat(x) R. A factor that is absent
 * is the identity.
 *
 * <p>Where the inputs of a linear are multiplied by it, its weights must be by {@link
 * #inverseTranspose}, and the outputs stay: x K (w K^-T)^T = x w^T.
 */
public final class Kronecker {
  private final int m;
  private final int n;
  private final @Nullable SquareMatrix left;
  private final @Nullable SquareMatrix right;

  private Kronecker(int m, int n, @Nullable SquareMatrix left, @Nullable SquareMatrix right) {
    this.m = m;
    this.n = n;
    this.left = left;
    this.right = right;
  }

  /** Of both. */
  public static Kronecker of(SquareMatrix left, SquareMatrix right) {
    return new Kronecker(left.size(), right.size(), left, right);
  }

  /** Mixes m parts of n neighbours each, alike for all neighbours. */
  public static Kronecker left(SquareMatrix left, int n) {
    return new Kronecker(left.size(), n, left, null);
  }

  /** Changes each of m parts by itself, all alike. */
  public static Kronecker right(int m, SquareMatrix right) {
    return new Kronecker(m, right.size(), null, right);
  }

  /** Width of the rows. */
  public int size() {
    return Math.multiplyExact(m, n);
  }

  /** m and n. */
  public KroneckerSizes sizes() {
    return new KroneckerSizes(m, n);
  }

  /** [m, m], or null for the identity. */
  public @Nullable SquareMatrix left() {
    return left;
  }

  /** [n, n], or null for the identity. */
  public @Nullable SquareMatrix right() {
    return right;
  }

  /** (L kron R)^-1 = L^-1 kron R^-1. */
  public Kronecker inverse() {
    return each(SquareMatrix::inverse);
  }

  /** (L kron R)^T = L^T kron R^T. */
  public Kronecker transpose() {
    return each(SquareMatrix::transpose);
  }

  /** What the weights are multiplied by whose inputs are multiplied by this. */
  public Kronecker inverseTranspose() {
    return each(SquareMatrix::inverseTranspose);
  }

  /** With factors as files and engines hold them. */
  public Kronecker rounded() {
    return each(SquareMatrix::rounded);
  }

  private Kronecker each(UnaryOperator<SquareMatrix> change) {
    return new Kronecker(
        m, n, left == null ? null : change.apply(left), right == null ? null : change.apply(right));
  }

  /**
   * x K for one row.
   *
   * @param x [.., size from at on], changed in place
   * @param scratch of {@link #size} at least
   */
  void apply(double[] x, int at, double[] scratch) {
    if (left != null) {
      Arrays.fill(scratch, 0, m * n, 0);
      for (int i = 0; i < m; i++) {
        for (int k = 0; k < m; k++) {
          axpy(left.at(i, k), x, at + i * n, scratch, k * n, n);
        }
      }
      System.arraycopy(scratch, 0, x, at, m * n);
    }
    if (right != null) {
      Arrays.fill(scratch, 0, m * n, 0);
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          axpy(x[at + i * n + j], right.values(), j * n, scratch, i * n, n);
        }
      }
      System.arraycopy(scratch, 0, x, at, m * n);
    }
  }

  /** x K for rows one behind the other. */
  public void applyRows(double[] x) {
    double[] scratch = new double[size()];
    for (int at = 0; at < x.length; at += size()) {
      apply(x, at, scratch);
    }
  }

  /**
   * K^T W: every column of W is a row vector that is multiplied by K.
   *
   * @param w [size, cols], changed in place
   * @param from first column
   * @param to behind the last
   */
  void applyColumns(double[] w, int cols, int from, int to) {
    int width = to - from;
    double[] mixed = new double[size() * width];
    if (left != null) {
      for (int i = 0; i < m; i++) {
        for (int k = 0; k < m; k++) {
          for (int j = 0; j < n; j++) {
            int source = (i * n + j) * cols + from;
            axpy(left.at(i, k), w, source, mixed, (k * n + j) * width, width);
          }
        }
      }
      putColumns(mixed, w, cols, from, width);
    }
    if (right != null) {
      Arrays.fill(mixed, 0);
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          for (int k = 0; k < n; k++) {
            int source = (i * n + j) * cols + from;
            axpy(right.at(j, k), w, source, mixed, (i * n + k) * width, width);
          }
        }
      }
      putColumns(mixed, w, cols, from, width);
    }
  }

  private void putColumns(double[] columns, double[] w, int cols, int from, int width) {
    for (int row = 0; row < size(); row++) {
      System.arraycopy(columns, row * width, w, row * cols + from, width);
    }
  }

  private static void axpy(double a, double[] x, int xAt, double[] y, int yAt, int count) {
    for (int k = 0; k < count; k++) {
      y[yAt + k] = Math.fma(a, x[xAt + k], y[yAt + k]);
    }
  }
}

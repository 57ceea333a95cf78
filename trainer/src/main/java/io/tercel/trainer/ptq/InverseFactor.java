package io.tercel.trainer.ptq;

import io.tercel.kernels.ops.Ops;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What GPTQ needs of a Hessian, computed once for all layers that share their input: the order of
 * the columns, the dead ones, and U, the upper Cholesky factor of the inverse, H^-1 = U^T U.
 *
 * <p>U needs no inverse of H. With J the reversal of rows, J H J = C^T C (C upper) gives H = R R^T
 * with R = J C^T J upper, hence U = R^-1: one factorization and one triangular inverse, a third of
 * the work of inverting and factoring again, and one rounding less.
 */
public final class InverseFactor {
  private static final int PANEL = 32;
  private static final int TILE = 8;

  private final int cols;
  private final int @Nullable [] order;
  private final boolean[] dead;
  private final double damping;
  private final float[] u;

  private InverseFactor(
      int cols, int @Nullable [] order, boolean[] dead, double damping, float[] u) {
    this.cols = cols;
    this.order = order;
    this.dead = dead;
    this.damping = damping;
    this.u = u;
  }

  /**
   * Factors a Hessian, which is left as it is.
   *
   * @param actOrder columns by falling diagonal
   * @param damping share of the mean diagonal that is added to the diagonal; raised until the
   *     factorization succeeds: doubled, from at least 0.01
   * @throws IllegalArgumentException if H is not finite, or no damping up to 1 helps
   */
  public static InverseFactor of(Hessian hessian, boolean actOrder, double damping, Ops ops) {
    int n = hessian.cols();
    boolean[] dead = new boolean[n];
    double[] diagonal = new double[n];
    for (int i = 0; i < n; i++) {
      diagonal[i] = hessian.at(i, i);
      if (!Double.isFinite(diagonal[i])) {
        throw new IllegalArgumentException(
            "the calibration gives inputs that are not finite, first at input " + i);
      }
      if (diagonal[i] == 0) {
        dead[i] = true;
        diagonal[i] = 1;
      }
    }
    int[] order = actOrder ? fallingOrder(diagonal) : null;
    double mean = Arrays.stream(diagonal).average().orElse(0);
    double tried = damping;
    double[] c = reversed(hessian, diagonal, order, tried * mean);
    while (!factor(c, n, ops)) {
      if (tried >= 1) {
        throw new IllegalArgumentException("its Hessian cannot be factored even with damping 1");
      }
      tried = Math.min(1, Math.max(0.01, 2 * tried));
      c = reversed(hessian, diagonal, order, tried * mean);
    }
    return new InverseFactor(n, order, dead, tried, invert(c, n, ops));
  }

  /** By falling value, equal ones by rising index. */
  private static int[] fallingOrder(double[] diagonal) {
    return IntStream.range(0, diagonal.length)
        .boxed()
        .sorted(Comparator.comparingDouble((Integer i) -> -diagonal[i]))
        .mapToInt(Integer::intValue)
        .toArray();
  }

  /** J P^T (H + damp I) P J, its upper triangle. */
  private static double[] reversed(
      Hessian hessian, double[] diagonal, int @Nullable [] order, double damp) {
    int n = diagonal.length;
    double[] a = new double[n * n];
    for (int i = 0; i < n; i++) {
      int from = order == null ? n - 1 - i : order[n - 1 - i];
      for (int k = i + 1; k < n; k++) {
        a[i * n + k] = hessian.at(from, order == null ? n - 1 - k : order[n - 1 - k]);
      }
      a[i * n + i] = diagonal[from] + damp;
    }
    return a;
  }

  /** A = C^T C in place, or false if A is not positive definite beyond rounding. */
  private static boolean factor(double[] a, int n, Ops ops) {
    double[] diagonal = new double[n];
    for (int i = 0; i < n; i++) {
      diagonal[i] = a[i * n + i];
    }
    for (int from = 0; from < n; from += PANEL) {
      int to = Math.min(n, from + PANEL);
      for (int j = from; j < to; j++) {
        for (int p = from; p < j; p++) {
          addRow(a, j, -a[p * n + j], p, n);
        }
        double pivot = a[j * n + j];
        if (!(pivot > n * 0x1p-52 * diagonal[j]) || !Double.isFinite(pivot)) {
          return false;
        }
        double inverse = 1 / Math.sqrt(pivot);
        for (int k = j; k < n; k++) {
          a[j * n + k] *= inverse;
        }
      }
      trailing(a, from, to, n, ops);
    }
    return true;
  }

  /** Row j += c * row p, from column j on. */
  private static void addRow(double[] a, int j, double c, int p, int n) {
    int to = j * n;
    int from = p * n;
    for (int k = j; k < n; k++) {
      a[to + k] = Math.fma(c, a[from + k], a[to + k]);
    }
  }

  /** Rows behind a finished panel lose what it explains. */
  private static void trailing(double[] a, int from, int to, int n, Ops ops) {
    int rows = n - to;
    double[] panel = Arrays.copyOfRange(a, from * n, to * n);
    ops.forEach(
        Math.ceilDiv(rows, TILE),
        (task, worker) -> {
          double[] c = new double[PANEL];
          for (int i = to + task * TILE; i < Math.min(n, to + (task + 1) * TILE); i++) {
            for (int p = 0; p < to - from; p++) {
              c[p] = -panel[p * n + i];
            }
            Axpy.add(a, i * n + i, n - i, c, 0, to - from, panel, i, n);
          }
        });
  }

  /** U = J (C^-1)^T J, a few rows of C^-1 a task. */
  private static float[] invert(double[] c, int n, Ops ops) {
    float[] u = new float[n * n];
    ops.forEach(
        Math.ceilDiv(n, TILE),
        (task, worker) -> {
          int first = task * TILE;
          int last = Math.min(n, first + TILE);
          double[] rows = new double[(last - first) * n];
          invertRows(c, n, first, last, rows);
          for (int i = first; i < n; i++) {
            for (int b = first; b < Math.min(last, i + 1); b++) {
              u[(n - 1 - i) * n + (n - 1 - b)] = (float) rows[(b - first) * n + i];
            }
          }
        });
    return u;
  }

  /** Rows first..last-1 of C^-1: row b solves y C = e_b. */
  private static void invertRows(double[] c, int n, int first, int last, double[] rows) {
    double[] done = new double[PANEL];
    for (int b = first; b < last; b++) {
      rows[(b - first) * n + b] = 1;
    }
    for (int from = first; from < n; from += PANEL) {
      int to = Math.min(n, from + PANEL);
      for (int b = first; b < last; b++) {
        int row = (b - first) * n;
        for (int i = from; i < to; i++) {
          double y = rows[row + i] / c[i * n + i];
          rows[row + i] = y;
          done[i - from] = -y;
          for (int k = i + 1; k < to; k++) {
            rows[row + k] = Math.fma(-y, c[i * n + k], rows[row + k]);
          }
        }
        Axpy.add(rows, row + to, n - to, done, 0, to - from, c, from * n + to, n);
      }
    }
  }

  public int cols() {
    return cols;
  }

  /** Column j of U is input {@code order[j]}; null when it is input j. */
  int @Nullable [] order() {
    return order;
  }

  /** Whether an input was zero in all of the calibration. */
  public boolean dead(int input) {
    return dead[input];
  }

  /** How many inputs were. */
  public int numDead() {
    int count = 0;
    for (boolean d : dead) {
      count += d ? 1 : 0;
    }
    return count;
  }

  /** The damping that was needed. */
  public double damping() {
    return damping;
  }

  /** [cols, cols], upper; not to be changed. */
  float[] u() {
    return u;
  }
}

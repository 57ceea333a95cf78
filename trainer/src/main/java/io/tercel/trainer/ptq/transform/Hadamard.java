package io.tercel.trainer.ptq.transform;

import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * Hadamard matrices: entries +1 and -1, rows orthogonal. Made by Paley from a prime q (order q + 1
 * where q = 3 modulo 4, order 2q + 2 where q = 1 modulo 4) and doubled by Sylvester. That covers
 * the orders 1, 2, and of the multiples of 4 below 200 all but 52, 92, 100, 116, 156, 172, 184 and
 * 188.
 */
public final class Hadamard {
  private Hadamard() {}

  /** Whether there is one of this order here. */
  public static boolean exists(int order) {
    if (order == 1 || order == 2) {
      return true;
    }
    return order > 0 && order % 4 == 0 && (paleyOne(order) || paleyTwo(order) || exists(order / 2));
  }

  /** q + 1 for a prime q = 3 modulo 4. */
  private static boolean paleyOne(int order) {
    return order % 4 == 0 && isPrime(order - 1);
  }

  /** 2q + 2 for a prime q = 1 modulo 4. */
  private static boolean paleyTwo(int order) {
    return order % 4 == 0 && (order / 2 - 1) % 4 == 1 && isPrime(order / 2 - 1);
  }

  private static boolean isPrime(int n) {
    for (int d = 2; d * d <= n; d++) {
      if (n % d == 0) {
        return false;
      }
    }
    return n > 1;
  }

  /**
   * The entries.
   *
   * @return [order, order] of 1 and -1
   * @throws IllegalArgumentException if there is none here
   */
  static int[][] signs(int order) {
    if (!exists(order)) {
      throw new IllegalArgumentException("no Hadamard matrix of order " + order);
    }
    if (order == 1) {
      return new int[][] {{1}};
    }
    if (order % 8 != 0 || !exists(order / 2)) {
      if (paleyOne(order)) {
        return paley(order - 1, 1, -1);
      }
      if (paleyTwo(order)) {
        return doubled(paley(order / 2 - 1, 0, 1));
      }
    }
    return sylvester(signs(order / 2));
  }

  /**
   * The bordered matrix of quadratic residues modulo q: ones above it, {@code left} beside it, at
   * (i, j) whether i - j is a square, and {@code diagonal} on the diagonal.
   */
  private static int[][] paley(int q, int diagonal, int left) {
    boolean[] square = new boolean[q];
    for (int i = 1; i < q; i++) {
      square[i * i % q] = true;
    }
    int[][] m = new int[q + 1][q + 1];
    for (int i = 0; i <= q; i++) {
      for (int j = 0; j <= q; j++) {
        if (i == j) {
          m[i][j] = diagonal;
        } else if (i == 0) {
          m[i][j] = 1;
        } else if (j == 0) {
          m[i][j] = left;
        } else {
          m[i][j] = square[Math.floorMod(i - j, q)] ? 1 : -1;
        }
      }
    }
    return m;
  }

  /** Paley's second: 0 becomes [1 -1; -1 -1], an entry s becomes s [1 1; 1 -1]. */
  private static int[][] doubled(int[][] conference) {
    int n = conference.length;
    int[][] m = new int[2 * n][2 * n];
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        int s = conference[i][j];
        m[2 * i][2 * j] = s == 0 ? 1 : s;
        m[2 * i][2 * j + 1] = s == 0 ? -1 : s;
        m[2 * i + 1][2 * j] = s == 0 ? -1 : s;
        m[2 * i + 1][2 * j + 1] = s == 0 ? -1 : -s;
      }
    }
    return m;
  }

  private static int[][] sylvester(int[][] half) {
    int n = half.length;
    int[][] m = new int[2 * n][2 * n];
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        m[i][j] = half[i][j];
        m[i][n + j] = half[i][j];
        m[n + i][j] = half[i][j];
        m[n + i][n + j] = -half[i][j];
      }
    }
    return m;
  }

  /** Divided by the root of the order, hence orthogonal. */
  public static SquareMatrix normalized(int order) {
    int[][] signs = signs(order);
    double scale = 1 / Math.sqrt(order);
    double[] values = new double[order * order];
    for (int i = 0; i < order; i++) {
      for (int j = 0; j < order; j++) {
        values[i * order + j] = signs[i][j] * scale;
      }
    }
    return new SquareMatrix(order, values);
  }

  /** The nearest two orders whose product is the width, or null if there are none here. */
  public static @Nullable KroneckerSizes sizes(int width) {
    for (int left = (int) Math.sqrt(width); left >= 1; left--) {
      if (width % left == 0 && exists(left) && exists(width / left)) {
        return new KroneckerSizes(left, width / left);
      }
    }
    return null;
  }

  /**
   * An orthogonal Kronecker product that spreads every input over all: of Hadamard matrices where
   * there are some, else of random orthogonal ones.
   */
  public static Kronecker spread(int width, Random random) {
    KroneckerSizes sizes = sizes(width);
    if (sizes != null) {
      return Kronecker.of(normalized(sizes.left()), normalized(sizes.right()));
    }
    KroneckerSizes nearest = KroneckerSizes.nearest(width);
    return Kronecker.of(
        SquareMatrix.orthogonal(nearest.left(), random),
        SquareMatrix.orthogonal(nearest.right(), random));
  }

  /** Likewise as one matrix. */
  public static SquareMatrix whole(int width, Random random) {
    return exists(width) ? normalized(width) : SquareMatrix.orthogonal(width, random);
  }
}

package io.tercel.trainer.ptq.transform;

import java.util.Random;

/** A square matrix of doubles, row-major. Row vectors are multiplied by it: y = x M. */
public final class SquareMatrix {
  private final int size;
  private final double[] values;

  /**
   * @param values [size, size]; not copied, not to be changed
   */
  public SquareMatrix(int size, double[] values) {
    if (size < 1 || values.length != Math.multiplyExact(size, size)) {
      throw new IllegalArgumentException(values.length + " values for " + size + " x " + size);
    }
    this.size = size;
    this.values = values;
  }

  /** The same in doubles. */
  public static SquareMatrix of(float[] values) {
    int size = (int) Math.round(Math.sqrt(values.length));
    double[] wide = new double[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    return new SquareMatrix(size, wide);
  }

  /** Ones on the diagonal. */
  public static SquareMatrix identity(int size) {
    double[] values = new double[Math.multiplyExact(size, size)];
    for (int i = 0; i < size; i++) {
      values[i * size + i] = 1;
    }
    return new SquareMatrix(size, values);
  }

  /** A random orthogonal matrix: Gaussian rows, made orthonormal one after the other. */
  public static SquareMatrix orthogonal(int size, Random random) {
    double[][] rows = new double[size][size];
    for (int i = 0; i < size; i++) {
      double[] row = rows[i];
      for (int j = 0; j < size; j++) {
        row[j] = random.nextGaussian();
      }
      for (int pass = 0; pass < 2; pass++) { // once leaves errors where rows are nearly dependent
        for (int k = 0; k < i; k++) {
          double along = 0;
          for (int j = 0; j < size; j++) {
            along += row[j] * rows[k][j];
          }
          for (int j = 0; j < size; j++) {
            row[j] -= along * rows[k][j];
          }
        }
      }
      double squares = 0;
      for (double x : row) {
        squares += x * x;
      }
      double scale = 1 / Math.sqrt(squares);
      for (int j = 0; j < size; j++) {
        row[j] *= scale;
      }
    }
    double[] values = new double[size * size];
    for (int i = 0; i < size; i++) {
      System.arraycopy(rows[i], 0, values, i * size, size);
    }
    return new SquareMatrix(size, values);
  }

  public int size() {
    return size;
  }

  public double at(int row, int col) {
    return values[row * size + col];
  }

  /** [size, size], row-major; a view. */
  double[] values() {
    return values;
  }

  public SquareMatrix transpose() {
    double[] turned = new double[values.length];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        turned[j * size + i] = values[i * size + j];
      }
    }
    return new SquareMatrix(size, turned);
  }

  /** This times another. */
  public SquareMatrix times(SquareMatrix other) {
    double[] product = new double[values.length];
    for (int i = 0; i < size; i++) {
      for (int k = 0; k < size; k++) {
        double x = values[i * size + k];
        for (int j = 0; j < size; j++) {
          product[i * size + j] += x * other.values[k * size + j];
        }
      }
    }
    return new SquareMatrix(size, product);
  }

  /**
   * Its inverse, by Gauss and Jordan with the largest pivot of each column.
   *
   * @throws IllegalArgumentException if it has none, or one that is not finite
   */
  public SquareMatrix inverse() {
    double[] a = values.clone();
    double[] b = identity(size).values;
    for (int col = 0; col < size; col++) {
      int pivot = col;
      for (int row = col + 1; row < size; row++) {
        if (Math.abs(a[row * size + col]) > Math.abs(a[pivot * size + col])) {
          pivot = row;
        }
      }
      double value = a[pivot * size + col];
      if (value == 0 || !Double.isFinite(value)) {
        throw new IllegalArgumentException(
            "a matrix of %d x %d has no inverse: pivot %d is %s".formatted(size, size, col, value));
      }
      swap(a, pivot, col);
      swap(b, pivot, col);
      for (int j = 0; j < size; j++) {
        a[col * size + j] /= value;
        b[col * size + j] /= value;
      }
      for (int row = 0; row < size; row++) {
        double factor = row == col ? 0 : a[row * size + col];
        if (factor != 0) {
          for (int j = 0; j < size; j++) {
            a[row * size + j] -= factor * a[col * size + j];
            b[row * size + j] -= factor * b[col * size + j];
          }
        }
      }
    }
    return new SquareMatrix(size, b);
  }

  private void swap(double[] m, int one, int other) {
    for (int j = 0; one != other && j < size; j++) {
      double kept = m[one * size + j];
      m[one * size + j] = m[other * size + j];
      m[other * size + j] = kept;
    }
  }

  /** M^-T: what weights are multiplied by where their inputs are multiplied by M. */
  public SquareMatrix inverseTranspose() {
    return inverse().transpose();
  }

  /** The nearest matrix of floats, as files and engines hold it. */
  public SquareMatrix rounded() {
    return of(toFloats());
  }

  /** [size, size], each rounded to nearest. */
  public float[] toFloats() {
    float[] narrow = new float[values.length];
    for (int i = 0; i < narrow.length; i++) {
      narrow[i] = (float) values[i];
    }
    return narrow;
  }
}

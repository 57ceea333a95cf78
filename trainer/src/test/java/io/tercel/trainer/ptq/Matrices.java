package io.tercel.trainer.ptq;

import java.util.Random;

/** Seeded weights and inputs. */
final class Matrices {
  private Matrices() {}

  static float[] gaussian(int rows, int cols, double deviation, long seed) {
    Random random = new Random(seed);
    float[] values = new float[rows * cols];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (deviation * random.nextGaussian());
    }
    return values;
  }

  /** Rows along which neighbours correlate by rho; each element has variance 1. */
  static float[] autoregressive(int rows, int cols, double rho, long seed) {
    Random random = new Random(seed);
    float[] values = new float[rows * cols];
    for (int row = 0; row < rows; row++) {
      double x = random.nextGaussian();
      for (int j = 0; j < cols; j++) {
        values[row * cols + j] = (float) x;
        x = rho * x + Math.sqrt(1 - rho * rho) * random.nextGaussian();
      }
    }
    return values;
  }

  /** Sum of squares of (a - b) x over the rows of x. */
  static double outputError(float[] a, float[] b, int rows, int cols, float[] x) {
    double sum = 0;
    for (int t = 0; t < x.length / cols; t++) {
      for (int row = 0; row < rows; row++) {
        double y = 0;
        for (int j = 0; j < cols; j++) {
          y += ((double) a[row * cols + j] - b[row * cols + j]) * x[t * cols + j];
        }
        sum += y * y;
      }
    }
    return sum;
  }
}

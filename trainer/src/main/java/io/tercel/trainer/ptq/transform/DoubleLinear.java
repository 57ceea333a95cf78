package io.tercel.trainer.ptq.transform;

import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.ops.Ops;
import org.jspecify.annotations.Nullable;

/**
 * A linear y = x W^T + b in doubles, whose coordinates are changed on either side. Every change is
 * the weights' part of one whose other part happens to the inputs or to whoever reads the outputs.
 */
public final class DoubleLinear {
  private static final int TASK = 64;

  private final int rows;
  private final int cols;
  private final double[] weight;
  private final double @Nullable [] bias;

  /**
   * @param weight [rows = outputs, cols = inputs]; changed in place
   * @param bias [rows] or null
   */
  public DoubleLinear(int rows, int cols, double[] weight, double @Nullable [] bias) {
    if (weight.length != Math.multiplyExact(rows, cols) || bias != null && bias.length != rows) {
      throw new IllegalArgumentException(weight.length + " weights for " + rows + " x " + cols);
    }
    this.rows = rows;
    this.cols = cols;
    this.weight = weight;
    this.bias = bias;
  }

  /** A copy of a checkpoint's. */
  public static DoubleLinear of(LinearSource.Plain source) {
    Tensor bias = source.bias();
    return new DoubleLinear(
        source.rows(),
        source.cols(),
        doubles(source.weight()),
        bias == null ? null : doubles(bias));
  }

  /** All elements of a tensor of floats. */
  public static double[] doubles(Tensor tensor) {
    double[] values = new double[Math.toIntExact(tensor.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor.floatAt(i);
    }
    return values;
  }

  public int rows() {
    return rows;
  }

  public int cols() {
    return cols;
  }

  /** [rows, cols]; a view. */
  public double[] weight() {
    return weight;
  }

  /** [rows] or null; a view. */
  public double @Nullable [] bias() {
    return bias;
  }

  /** The weights rounded to floats. */
  public float[] toFloats() {
    float[] narrow = new float[weight.length];
    for (int i = 0; i < narrow.length; i++) {
      narrow[i] = (float) weight[i];
    }
    return narrow;
  }

  /** Multiplies input j's weights by c[j]: for inputs that will be divided by it. */
  public void scaleInputs(double[] c) {
    for (int i = 0; i < weight.length; i++) {
      weight[i] *= c[i % cols];
    }
  }

  /** For inputs that will be x K: each row w becomes w K^-T. */
  public void transformInputs(Kronecker k, Ops ops) {
    Kronecker inverse = k.inverseTranspose();
    ops.forEach(
        Math.ceilDiv(rows, TASK),
        (task, _) -> {
          double[] scratch = new double[cols];
          for (int row = task * TASK; row < Math.min(rows, (task + 1) * TASK); row++) {
            inverse.apply(weight, row * cols, scratch);
          }
        });
  }

  /** Outputs, and the bias, become c[i] times as large. */
  public void scaleOutputs(double[] c) {
    for (int row = 0; row < rows; row++) {
      for (int j = 0; j < cols; j++) {
        weight[row * cols + j] *= c[row];
      }
      if (bias != null) {
        bias[row] *= c[row];
      }
    }
  }

  /** Outputs y become y K. */
  public void transformOutputs(Kronecker k, Ops ops) {
    ops.forEach(
        Math.ceilDiv(cols, TASK),
        (task, _) -> {
          int from = task * TASK;
          k.applyColumns(weight, cols, from, Math.min(cols, from + TASK));
        });
    if (bias != null) {
      k.applyRows(bias);
    }
  }

  /** y for one input. */
  public double[] apply(double[] x) {
    double[] y = new double[rows];
    for (int row = 0; row < rows; row++) {
      double sum = bias == null ? 0 : bias[row];
      for (int j = 0; j < cols; j++) {
        sum = Math.fma(weight[row * cols + j], x[j], sum);
      }
      y[row] = sum;
    }
    return y;
  }
}

package io.tercel.trainer.ptq;

import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.files.SafetensorsWriter;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A decoder layer in floats whose inner channels are rescaled without changing what it computes:
 * inputs of linears are multiplied into their columns and divided out of the norm, or of the rows,
 * that make them.
 *
 * <p>Norms and biases stay what their files can hold: they are rounded to their type first, and the
 * factor is what that rounding made of it. So nothing is lost, and any engine reads the model.
 */
final class ScaledLayer {
  private final Map<Matrix, float[]> weights = new EnumMap<>(Matrix.class);
  private final Map<Matrix, float[]> biases = new EnumMap<>(Matrix.class);
  private final Map<Norm, float[]> norms = new EnumMap<>(Norm.class);
  private final LayerSource source;

  /** As it lies in a checkpoint of plain weights. */
  ScaledLayer(LayerSource source) {
    this.source = source;
    for (Matrix m : Matrix.values()) {
      LinearSource.Plain plain = (LinearSource.Plain) source.matrix(m);
      weights.put(m, plain.weight().toFloats());
      Tensor bias = plain.bias();
      if (bias != null) {
        biases.put(m, bias.toFloats());
      }
    }
    norms.putAll(source.mapNorms(Tensor::toFloats));
  }

  /** [rows, cols] of the linear as it is now. */
  float[] weight(Matrix which) {
    return value(weights, which);
  }

  /** Of the linear as it is now, or null. */
  float @Nullable [] bias(Matrix which) {
    return biases.get(which);
  }

  /** All that the layer has, as they are now. */
  Map<Norm, float[]> norms() {
    return new EnumMap<>(norms);
  }

  /**
   * Multiplies the columns of linears that read a norm's output and divides the norm.
   *
   * @param factors above 0
   * @return the factors as they came out
   */
  float[] throughNorm(Norm norm, List<Matrix> readers, float[] factors) {
    Tensor tensor = source.norm(norm);
    float[] values = value(norms, norm).clone();
    float[] exact = divide(values, tensor == null ? DType.F32 : tensor.dtype(), factors);
    norms.put(norm, values);
    readers.forEach(m -> multiplyColumns(m, exact));
    return exact;
  }

  /** Multiplies the columns of down and divides the rows of up. */
  float[] throughUp(float[] factors) {
    divideRows(Matrix.UP, factors);
    multiplyColumns(Matrix.DOWN, factors);
    return factors;
  }

  /** Whether each row of v is one column of o. */
  boolean valuesAreOutputs() {
    LinearSource v = source.v();
    LinearSource o = source.o();
    return v.rows() == o.rows() && v.cols() == o.cols();
  }

  /** Multiplies the columns of o and divides the rows of v, and its bias. */
  float[] throughValues(float[] factors) {
    float[] exact = factors;
    float[] bias = biases.get(Matrix.V);
    Tensor tensor = source.v().bias();
    if (bias != null && tensor != null) {
      exact = divide(bias, tensor.dtype(), factors);
    }
    divideRows(Matrix.V, exact);
    multiplyColumns(Matrix.O, exact);
    return exact;
  }

  /** Divides in place, rounding; where nothing would be left, the factor is 1. */
  private static float[] divide(float[] values, DType dtype, float[] factors) {
    float[] exact = factors.clone();
    for (int j = 0; j < values.length; j++) {
      if (values[j] == 0) {
        continue;
      }
      float divided = SafetensorsWriter.round(dtype, values[j] / factors[j]);
      exact[j] = values[j] / divided;
      if (Float.isFinite(divided) && Float.isFinite(exact[j]) && exact[j] > 0) {
        values[j] = divided;
      } else {
        exact[j] = 1;
      }
    }
    return exact;
  }

  private void multiplyColumns(Matrix which, float[] factors) {
    float[] w = weight(which);
    for (int i = 0; i < w.length; i++) {
      w[i] *= factors[i % factors.length];
    }
  }

  private void divideRows(Matrix which, float[] factors) {
    float[] w = weight(which);
    int cols = w.length / factors.length;
    for (int i = 0; i < w.length; i++) {
      w[i] /= factors[i / cols];
    }
  }

  private static <K, V> V value(Map<K, V> map, K key) {
    V value = map.get(key);
    if (value == null) {
      throw new IllegalStateException("the layer has no " + key);
    }
    return value;
  }
}

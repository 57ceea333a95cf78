package io.tercel.kernels.testing;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/**
 * Rounds the linears of a tiny model to w4a4kv4 as {@code format.W4Layout} reads it, with
 * reflections I - 2 v v^T as transforms: orthogonal, and their own inverses. Keys' and queries' are
 * rotations, longer and shorter, so that neither is the other's nor its own transposed. Test code's
 * own, written apart from the production reader.
 */
final class W4Writer {
  private final Map<String, RawTensor> quantized = new LinkedHashMap<>();
  private final Random random;

  private W4Writer(Random random) {
    this.random = random;
  }

  /**
   * @param heads query heads of headDim
   */
  static Map<String, RawTensor> quantize(
      Map<String, RawTensor> tensors, int layers, int heads, int headDim, Random random) {
    W4Writer writer = new W4Writer(random);
    writer.quantized.putAll(tensors);
    for (int i = 0; i < layers; i++) {
      String layer = "model.layers." + i + ".";
      String attention = layer + "self_attn.";
      writer.group(attention + "qkv_transform", 0, attention, "q_proj", "k_proj", "v_proj");
      writer.group(attention + "o_transform", heads, attention, "o_proj");
      writer.group(layer + "mlp.gate_up_transform", 0, layer + "mlp.", "gate_proj", "up_proj");
      writer.group(layer + "mlp.down_transform", 0, layer + "mlp.", "down_proj");
      float[] rotation = writer.rotation(headDim);
      writer.floats(attention + "k_transform", times(rotation, 1.5), headDim, headDim);
      writer.floats(attention + "q_transform", times(rotation, 1 / 1.5), headDim, headDim);
      writer.floats(attention + "k_clip", new float[] {1, 0.96875f}, 2);
      writer.floats(attention + "v_clip", new float[] {0.9375f, 1}, 2);
    }
    return writer.quantized;
  }

  /**
   * @param left size of the left factor, with no right one; or 0 for two of about equal size
   */
  private void group(String transform, int left, String prefix, String... linears) {
    int in = (int) quantized.get(prefix + linears[0] + ".weight").shape()[1];
    int m = left;
    if (left == 0) {
      m = (int) Math.sqrt(in);
      while (in % m != 0) {
        m--;
      }
    }
    float[] l = reflection(m);
    float[] r = left == 0 ? reflection(in / m) : null;
    floats(transform + ".left", l, m, m);
    if (r != null) {
      floats(transform + ".right", r, in / m, in / m);
    }
    floats(transform + ".clip", new float[] {0.96875f, 0.9375f}, 2);
    for (String name : linears) {
      linear(prefix + name, in, m, l, r);
    }
  }

  private void linear(String name, int in, int m, float[] left, float[] right) {
    float[] w = quantized.remove(name + ".weight").toFloats();
    int out = w.length / in;
    byte[] packed = new byte[w.length / 2];
    float[] scales = new float[out];
    for (int row = 0; row < out; row++) {
      double[] x = transformed(w, row * in, in, m, left, right);
      double largest = 0;
      for (double value : x) {
        largest = Math.max(largest, Math.abs(value));
      }
      scales[row] = Float.float16ToFloat(Float.floatToFloat16((float) (largest / 7)));
      for (int k = 0; k < in; k++) {
        int code = (int) Math.max(-8, Math.min(7, Math.rint(x[k] / scales[row])));
        packed[(row * in + k) / 2] |= (byte) ((code & 15) << 4 * (k % 2));
      }
    }
    quantized.put(name + ".weight_packed", new RawTensor("U8", new long[] {out, in / 2}, packed));
    quantized.put(name + ".weight_scale", RawTensor.floats("F16", scales, out));
  }

  private static double[] transformed(
      float[] w, int at, int in, int m, float[] left, float[] right) {
    int n = in / m;
    double[] y = new double[in];
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < n; j++) {
        for (int a = 0; a < m; a++) {
          for (int b = 0; b < n; b++) {
            double r = right == null ? (b == j ? 1 : 0) : right[b * n + j];
            y[i * n + j] += w[at + a * n + b] * (double) left[a * m + i] * r;
          }
        }
      }
    }
    return y;
  }

  private static float[] times(float[] matrix, double factor) {
    float[] product = new float[matrix.length];
    for (int i = 0; i < matrix.length; i++) {
      product[i] = (float) (matrix[i] * factor);
    }
    return product;
  }

  /** Two reflections, one after the other. */
  private float[] rotation(int size) {
    float[] first = reflection(size);
    float[] second = reflection(size);
    float[] product = new float[size * size];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        double sum = 0;
        for (int k = 0; k < size; k++) {
          sum += first[i * size + k] * (double) second[k * size + j];
        }
        product[i * size + j] = (float) sum;
      }
    }
    return product;
  }

  private float[] reflection(int size) {
    double[] v = new double[size];
    double length = 0;
    for (int i = 0; i < size; i++) {
      v[i] = random.nextGaussian();
      length += v[i] * v[i];
    }
    float[] matrix = new float[size * size];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        matrix[i * size + j] = (float) ((i == j ? 1 : 0) - 2 * v[i] * v[j] / length);
      }
    }
    return matrix;
  }

  private void floats(String name, float[] values, long... shape) {
    quantized.put(name, RawTensor.floats("F32", values, shape));
  }
}

package io.tercel.kernels.testing;

import java.util.Map;

/** Reads 3-bit GPTQ layers bit by bit, as the format is written down and not as the engine does. */
public final class GptqReader {
  private final int[] qweight;
  private final int[] qzeros;
  private final float[] scales;
  private final int[] gIdx;
  private final int out;
  private final int in;
  private final boolean v2;

  /**
   * @param name of the layer, without .qweight
   * @param v2 whether zero points are stored as they are
   */
  public GptqReader(Map<String, RawTensor> tensors, String name, boolean v2) {
    RawTensor packed = tensors.get(name + ".qweight");
    this.qweight = packed.toInts();
    this.out = (int) packed.shape()[1];
    this.in = (int) packed.shape()[0] * 32 / 3;
    this.qzeros = tensors.get(name + ".qzeros").toInts();
    this.scales = tensors.get(name + ".scales").toFloats();
    this.gIdx = new int[in];
    RawTensor order = tensors.get(name + ".g_idx");
    int[] groups = order == null ? new int[0] : order.toInts();
    for (int i = 0; i < in; i++) {
      gIdx[i] = order == null ? i / 128 : groups[i];
    }
    this.v2 = v2;
  }

  public int out() {
    return out;
  }

  public int in() {
    return in;
  }

  /** Group of input i. */
  public int group(int i) {
    return gIdx[i];
  }

  /** Code of output o and input i, as the file orders them. */
  public int code(int o, int i) {
    int code = 0;
    for (int b = 0; b < 3; b++) {
      int bit = 3 * i + b;
      code |= (qweight[bit / 32 * out + o] >>> bit % 32 & 1) << b;
    }
    return code;
  }

  public float scale(int o, int group) {
    return scales[group * out + o];
  }

  public int zero(int o, int group) {
    int stored = 0;
    for (int b = 0; b < 3; b++) {
      int bit = 3 * o + b;
      stored |= (qzeros[group * (out / 32 * 3) + bit / 32] >>> bit % 32 & 1) << b;
    }
    return v2 ? stored : (stored + 1) % 8;
  }

  /** The whole matrix [out, in] in the inputs' natural order; every value is exact in fp32. */
  public float[] dequantize() {
    float[] weight = new float[out * in];
    for (int o = 0; o < out; o++) {
      for (int i = 0; i < in; i++) {
        int g = group(i);
        weight[o * in + i] = scale(o, g) * (code(o, i) - zero(o, g));
      }
    }
    return weight;
  }
}

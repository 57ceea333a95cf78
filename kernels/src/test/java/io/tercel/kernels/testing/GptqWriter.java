package io.tercel.kernels.testing;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/**
 * Rounds a matrix to three bits and packs it as GPTQ checkpoints are, one bit at a time as the
 * format is written down: in a stream of 3-bit codes, bit b of code i is bit 3i + b of a
 * little-endian row of words.
 */
public final class GptqWriter {
  private static final int GROUP = 128;

  private GptqWriter() {}

  /** Packs codes into ceil(3n / 32) words. */
  public static int[] pack(int[] codes) {
    int[] words = new int[Math.ceilDiv(3 * codes.length, 32)];
    for (int i = 0; i < codes.length; i++) {
      for (int b = 0; b < 3; b++) {
        int bit = 3 * i + b;
        words[bit / 32] |= (codes[i] >> b & 1) << bit % 32;
      }
    }
    return words;
  }

  /**
   * Rounds to nearest and packs.
   *
   * @param name of the layer, without .weight
   * @param weight [out, in], both multiples of 32
   * @return the layer's qweight, qzeros, scales and perhaps g_idx
   */
  public static Map<String, RawTensor> quantize(
      String name, float[] weight, int out, int in, GptqVariant variant, Random random) {
    if (out % 32 != 0 || in % 32 != 0) {
      throw new IllegalArgumentException(name + ": " + out + " x " + in);
    }
    int[] gIdx = groupOfInput(in, variant.actOrder(), random);
    int groups = Math.ceilDiv(in, GROUP);
    float[] scales = new float[groups * out];
    int[] zeros = new int[groups * out];
    fitGroups(weight, out, in, gIdx, variant.symmetric(), scales, zeros);
    int[] qweight = new int[in / 32 * 3 * out];
    int[] column = new int[in];
    for (int o = 0; o < out; o++) {
      for (int i = 0; i < in; i++) {
        int at = gIdx[i] * out + o;
        double code = Math.rint(weight[o * in + i] / (double) scales[at]) + zeros[at];
        column[i] = (int) Math.clamp(code, 0, 7);
      }
      int[] words = pack(column);
      for (int w = 0; w < words.length; w++) {
        qweight[w * out + o] = words[w];
      }
    }
    int[] qzeros = new int[groups * (out / 32 * 3)];
    for (int g = 0; g < groups; g++) {
      int[] stored = new int[out];
      for (int o = 0; o < out; o++) {
        stored[o] = variant.v2() ? zeros[g * out + o] : zeros[g * out + o] - 1 & 7;
      }
      System.arraycopy(pack(stored), 0, qzeros, g * (out / 32 * 3), out / 32 * 3);
    }
    Map<String, RawTensor> tensors = new LinkedHashMap<>();
    tensors.put(name + ".qweight", RawTensor.ints(qweight, in / 32 * 3, out));
    tensors.put(name + ".qzeros", RawTensor.ints(qzeros, groups, out / 32 * 3));
    tensors.put(name + ".scales", RawTensor.floats("F16", scales, groups, out));
    if (variant.gIdx()) {
      tensors.put(name + ".g_idx", RawTensor.ints(gIdx, in));
    }
    return tensors;
  }

  private static int[] groupOfInput(int in, boolean actOrder, Random random) {
    int[] gIdx = new int[in];
    for (int i = 0; i < in; i++) {
      gIdx[i] = i / GROUP;
    }
    for (int i = in - 1; i > 0 && actOrder; i--) {
      int j = random.nextInt(i + 1);
      int swapped = gIdx[i];
      gIdx[i] = gIdx[j];
      gIdx[j] = swapped;
    }
    return gIdx;
  }

  /** Scales are rounded to fp16 before zero points and codes are computed from them. */
  private static void fitGroups(
      float[] weight, int out, int in, int[] gIdx, boolean symmetric, float[] scales, int[] zeros) {
    for (int o = 0; o < out; o++) {
      for (int g = 0; g * GROUP < in; g++) {
        float min = 0;
        float max = 0;
        for (int i = 0; i < in; i++) {
          if (gIdx[i] == g) {
            min = Math.min(min, weight[o * in + i]);
            max = Math.max(max, weight[o * in + i]);
          }
        }
        float s = symmetric ? 2 * Math.max(-min, max) / 7 : (max - min) / 7;
        s = Float.float16ToFloat(Float.floatToFloat16(Math.max(s, 1e-5f)));
        scales[g * out + o] = s;
        zeros[g * out + o] = symmetric ? 4 : (int) Math.clamp(Math.rint(-min / s), 0, 7);
      }
    }
  }
}

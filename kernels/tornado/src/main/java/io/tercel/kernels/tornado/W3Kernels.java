package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W3Block;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * 3-bit linear layers, y = W x + b, in the order of sums that {@code Ops.linear} states. A work
 * group has 256 items: 16 rows of one tile by 16 quantization groups at a time, so that the words
 * of a block are read by neighbours; what the groups give is joined in their order by the items of
 * the first. The grid is [tiles][tokens]; inputs lie in rows that are padded with zeros up to whole
 * groups.
 */
final class W3Kernels {
  /** Work items of a group. */
  static final int LOCAL = 256;

  /** Tokens of a work group of {@link #four}. */
  static final int TOKENS = 4;

  private static final int BLOCK = W3Block.BLOCK_BYTES / Integer.BYTES;
  private static final int META = W3Block.SCALES_OFFSET / Integer.BYTES;
  private static final int ROWS = W3Block.ROWS;
  private static final int GROUP = W3Block.GROUP;

  private W3Kernels() {}

  /**
   * One token a work group.
   *
   * @param w packed blocks from {@code wAt} on
   * @param p biases of whole tiles from {@code biasAt} on; below 0 there are none
   * @param x [tokens][xStride]
   * @param y [tokens][yStride], from column yAt on
   * @param add 1 to add to y, 0 to store
   */
  public static void one(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      IntArray w,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int wAt,
      int groups,
      int xStride,
      int yAt,
      int yStride,
      int biasAt,
      int add) {
    int l = c.localIdx;
    int tile = c.groupIdx;
    int token = c.groupIdy;
    int r = l & 15;
    int slice = l >> 4;
    int n = step.get(StepLayout.N);
    int xRow = Math.max(Math.min(token, n - 1), 0) * xStride;
    float[] inner = c.allocateFloatLocalArray(256);
    float[] scales = c.allocateFloatLocalArray(256);
    float[] zeros = c.allocateFloatLocalArray(256);
    double[] sums = c.allocateDoubleLocalArray(128);
    float acc = 0f;
    for (int base = 0; base < groups; base += 16) {
      int g = base + slice;
      if (g < groups) {
        int xAt = xRow + g * GROUP;
        if (r < 8) {
          double sum = 0;
          for (int k = 0; k < GROUP; k += 8) {
            sum += x.get(xAt + k + r);
          }
          sums[slice * 8 + r] = sum;
        }
        int at = wAt + (tile * groups + g) * BLOCK + r;
        float even = 0f;
        float odd = 0f;
        int spare = 0;
        for (int word = 0; word < W3Block.WORDS; word++) {
          int bits = w.get(at + word * ROWS);
          int k = xAt + word * W3Block.FIELDS;
          spare = (spare << 2) | (bits & 3);
          even = value(bits >> 2) * x.get(k) + even;
          odd = value(bits >> 5) * x.get(k + 1) + odd;
          even = value(bits >> 8) * x.get(k + 2) + even;
          odd = value(bits >> 11) * x.get(k + 3) + odd;
          even = value(bits >> 14) * x.get(k + 4) + even;
          odd = value(bits >> 17) * x.get(k + 5) + odd;
          even = value(bits >> 20) * x.get(k + 6) + even;
          odd = value(bits >> 23) * x.get(k + 7) + odd;
          even = value(bits >> 26) * x.get(k + 8) + even;
          odd = value(bits >> 29) * x.get(k + 9) + odd;
        }
        for (int pair = 0; pair < 4; pair++) {
          int six = spare >> (18 - 6 * pair);
          int k = xAt + W3Block.FIELD_COLUMNS + 2 * pair;
          even = value(six >> 3) * x.get(k) + even;
          odd = value(six) * x.get(k + 1) + odd;
        }
        int meta = w.get(at + META);
        inner[l] = even + odd;
        scales[l] = 8f * Arithmetic.fp16(meta & 65535, powers);
        zeros[l] = -(8 + ((meta >> 16) & 7)) * 0.125f;
      }
      c.localBarrier();
      if (slice == 0) {
        int many = Math.min(16, groups - base);
        for (int i = 0; i < many; i++) {
          int s = i * 8;
          double lower = (sums[s] + sums[s + 1]) + (sums[s + 2] + sums[s + 3]);
          double upper = (sums[s + 4] + sums[s + 5]) + (sums[s + 6] + sums[s + 7]);
          float sum = (float) (lower + upper);
          int at = i * 16 + r;
          float group = zeros[at] * sum + inner[at];
          acc = scales[at] * group + acc;
        }
      }
      c.localBarrier();
    }
    if (slice == 0 && token < n) {
      int row = tile * ROWS + r;
      float result = biasAt < 0 ? acc : acc + p.get(biasAt + row);
      int at = token * yStride + yAt + row;
      y.set(at, add == 0 ? result : y.get(at) + result);
    }
  }

  /** Four tokens a work group, which share the unpacking; the same bits as {@link #one}. */
  public static void four(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      IntArray w,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int wAt,
      int groups,
      int xStride,
      int yAt,
      int yStride,
      int biasAt,
      int add) {
    int l = c.localIdx;
    int tile = c.groupIdx;
    int token = c.groupIdy * TOKENS;
    int r = l & 15;
    int slice = l >> 4;
    int n = step.get(StepLayout.N);
    int last = Math.max(n - 1, 0);
    int x0 = Math.min(token, last) * xStride;
    int x1 = Math.min(token + 1, last) * xStride;
    int x2 = Math.min(token + 2, last) * xStride;
    int x3 = Math.min(token + 3, last) * xStride;
    float[] inner = c.allocateFloatLocalArray(1024);
    float[] scales = c.allocateFloatLocalArray(256);
    float[] zeros = c.allocateFloatLocalArray(256);
    double[] sums = c.allocateDoubleLocalArray(512);
    // in the second half of a pass each quarter of the items finishes one token
    int mine = slice >> 2;
    float acc = 0f;
    for (int base = 0; base < groups; base += 16) {
      int g = base + slice;
      if (g < groups) {
        int column = g * GROUP;
        if (r < 8) {
          double s0 = 0;
          double s1 = 0;
          double s2 = 0;
          double s3 = 0;
          for (int k = column + r; k < column + GROUP; k += 8) {
            s0 += x.get(x0 + k);
            s1 += x.get(x1 + k);
            s2 += x.get(x2 + k);
            s3 += x.get(x3 + k);
          }
          sums[slice * 8 + r] = s0;
          sums[128 + slice * 8 + r] = s1;
          sums[256 + slice * 8 + r] = s2;
          sums[384 + slice * 8 + r] = s3;
        }
        int at = wAt + (tile * groups + g) * BLOCK + r;
        float e0 = 0f;
        float o0 = 0f;
        float e1 = 0f;
        float o1 = 0f;
        float e2 = 0f;
        float o2 = 0f;
        float e3 = 0f;
        float o3 = 0f;
        int spare = 0;
        for (int word = 0; word < W3Block.WORDS; word++) {
          int bits = w.get(at + word * ROWS);
          spare = (spare << 2) | (bits & 3);
          int k = column + word * W3Block.FIELDS;
          for (int f = 0; f < W3Block.FIELDS; f += 2) {
            float v = value(bits >> (2 + 3 * f));
            e0 = v * x.get(x0 + k + f) + e0;
            e1 = v * x.get(x1 + k + f) + e1;
            e2 = v * x.get(x2 + k + f) + e2;
            e3 = v * x.get(x3 + k + f) + e3;
            float u = value(bits >> (5 + 3 * f));
            o0 = u * x.get(x0 + k + f + 1) + o0;
            o1 = u * x.get(x1 + k + f + 1) + o1;
            o2 = u * x.get(x2 + k + f + 1) + o2;
            o3 = u * x.get(x3 + k + f + 1) + o3;
          }
        }
        for (int pair = 0; pair < 4; pair++) {
          int six = spare >> (18 - 6 * pair);
          int k = column + W3Block.FIELD_COLUMNS + 2 * pair;
          float v = value(six >> 3);
          e0 = v * x.get(x0 + k) + e0;
          e1 = v * x.get(x1 + k) + e1;
          e2 = v * x.get(x2 + k) + e2;
          e3 = v * x.get(x3 + k) + e3;
          float u = value(six);
          o0 = u * x.get(x0 + k + 1) + o0;
          o1 = u * x.get(x1 + k + 1) + o1;
          o2 = u * x.get(x2 + k + 1) + o2;
          o3 = u * x.get(x3 + k + 1) + o3;
        }
        int meta = w.get(at + META);
        inner[l] = e0 + o0;
        inner[256 + l] = e1 + o1;
        inner[512 + l] = e2 + o2;
        inner[768 + l] = e3 + o3;
        scales[l] = 8f * Arithmetic.fp16(meta & 65535, powers);
        zeros[l] = -(8 + ((meta >> 16) & 7)) * 0.125f;
      }
      c.localBarrier();
      if ((slice & 3) == 0) {
        int many = Math.min(16, groups - base);
        for (int i = 0; i < many; i++) {
          int s = mine * 128 + i * 8;
          double lower = (sums[s] + sums[s + 1]) + (sums[s + 2] + sums[s + 3]);
          double upper = (sums[s + 4] + sums[s + 5]) + (sums[s + 6] + sums[s + 7]);
          float sum = (float) (lower + upper);
          int at = i * 16 + r;
          float group = zeros[at] * sum + inner[mine * 256 + at];
          acc = scales[at] * group + acc;
        }
      }
      c.localBarrier();
    }
    if ((slice & 3) == 0 && token + mine < n) {
      int row = tile * ROWS + r;
      float result = biasAt < 0 ? acc : acc + p.get(biasAt + row);
      int at = (token + mine) * yStride + yAt + row;
      y.set(at, add == 0 ? result : y.get(at) + result);
    }
  }

  /** 1 + code / 8 of the lowest three bits, exactly. */
  private static float value(int bits) {
    return (8 + (bits & 7)) * 0.125f;
  }
}

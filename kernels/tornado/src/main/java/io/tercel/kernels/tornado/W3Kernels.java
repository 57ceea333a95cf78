package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W3Block;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * 3-bit linear layers, y = W x + b, as {@code Ops.linear} states: products of integers, and a
 * written order only for the few floats around them. A work group has 256 items: 16 rows of one
 * tile by 16 quantization groups at a time, so that the words of a block are read by neighbours;
 * what the groups give is joined in their order by the items of the first. The grid is
 * [tiles][tokens]; inputs are what {@link GroupedIntKernels} makes.
 */
final class W3Kernels {
  /** Work items of a group. */
  static final int LOCAL = 256;

  /** Tokens of a work group of {@link #four}. */
  static final int TOKENS = 4;

  private static final int BLOCK = W3Block.BLOCK_BYTES / Integer.BYTES;
  private static final int SCALES = W3Block.SCALES_OFFSET / Integer.BYTES;
  private static final int ZEROS = W3Block.ZEROS_OFFSET / Integer.BYTES;
  private static final int ROWS = W3Block.ROWS;
  private static final int GROUP = W3Block.GROUP;

  /** Two bits of each byte. */
  private static final int PAIRS = 0x03030303;

  private W3Kernels() {}

  /**
   * One token a work group.
   *
   * @param w packed blocks from {@code wAt} on
   * @param p biases of whole tiles from {@code biasAt} on; below 0 there are none
   * @param q [tokens] codes, then sums of codes
   * @param s [tokens][groups] scales
   * @param y [tokens][yStride], from column yAt on
   * @param add 1 to add to y, 0 to store
   */
  public static void one(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      IntArray w,
      FloatArray p,
      IntArray q,
      FloatArray s,
      FloatArray y,
      int wAt,
      int groups,
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
    int bounded = Math.max(Math.min(token, n - 1), 0);
    int row = bounded * groups * (GROUP + 1);
    float[] sums = c.allocateFloatLocalArray(256);
    float[] scales = c.allocateFloatLocalArray(256);
    float acc = 0f;
    for (int base = 0; base < groups; base += 16) {
      int g = base + slice;
      if (g < groups) {
        int block = wAt + (tile * groups + g) * BLOCK;
        int sum = 0;
        for (int t = 0; t < W3Block.TRIPLES; t++) {
          int at = block + 3 * t * ROWS + r;
          int low = w.get(at);
          int middle = w.get(at + ROWS);
          int high = w.get(at + 2 * ROWS);
          int six = six(low, middle, high);
          for (int j = 0; j < 4; j++) {
            int k = row + g * GROUP + t * W3Block.TRIPLE_COLUMNS + j;
            int by = 8 * j;
            sum += ((low >> by) & 7) * q.get(k);
            sum += ((low >> (by + 3)) & 7) * q.get(k + 4);
            sum += ((middle >> by) & 7) * q.get(k + 8);
            sum += ((middle >> (by + 3)) & 7) * q.get(k + 12);
            sum += ((high >> by) & 7) * q.get(k + 16);
            sum += ((high >> (by + 3)) & 7) * q.get(k + 20);
            sum += ((six >> by) & 7) * q.get(k + 24);
            sum += ((six >> (by + 3)) & 7) * q.get(k + 28);
          }
        }
        int zero = (w.get(block + ZEROS + (r >> 2)) >> (8 * (r & 3))) & 7;
        sum -= zero * q.get(row + groups * GROUP + g);
        int scale = w.get(block + SCALES + (r >> 1)) >> (16 * (r & 1));
        sums[l] = (float) sum;
        scales[l] = Arithmetic.fp16(scale & 65535, powers) * s.get(bounded * groups + g);
      }
      c.localBarrier();
      if (slice == 0) {
        int many = Math.min(16, groups - base);
        for (int i = 0; i < many; i++) {
          acc = scales[i * 16 + r] * sums[i * 16 + r] + acc;
        }
      }
      c.localBarrier();
    }
    if (slice == 0 && token < n) {
      int output = tile * ROWS + r;
      float result = biasAt < 0 ? acc : acc + p.get(biasAt + output);
      int at = token * yStride + yAt + output;
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
      IntArray q,
      FloatArray s,
      FloatArray y,
      int wAt,
      int groups,
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
    int stride = groups * (GROUP + 1);
    int q0 = Math.min(token, last) * stride;
    int q1 = Math.min(token + 1, last) * stride;
    int q2 = Math.min(token + 2, last) * stride;
    int q3 = Math.min(token + 3, last) * stride;
    float[] sums = c.allocateFloatLocalArray(1024);
    float[] scales = c.allocateFloatLocalArray(256);
    // in the second half of a pass each quarter of the items finishes one token
    int mine = slice >> 2;
    int inputScales = Math.min(token + mine, last) * groups;
    float acc = 0f;
    for (int base = 0; base < groups; base += 16) {
      int g = base + slice;
      if (g < groups) {
        int block = wAt + (tile * groups + g) * BLOCK;
        int s0 = 0;
        int s1 = 0;
        int s2 = 0;
        int s3 = 0;
        for (int t = 0; t < W3Block.TRIPLES; t++) {
          int at = block + 3 * t * ROWS + r;
          int low = w.get(at);
          int middle = w.get(at + ROWS);
          int high = w.get(at + 2 * ROWS);
          int six = six(low, middle, high);
          for (int f = 0; f < W3Block.FIELDS; f++) {
            int pair = f >> 1;
            int word = pair == 0 ? low : pair == 1 ? middle : pair == 2 ? high : six;
            int fields = word >> (3 * (f & 1));
            for (int j = 0; j < 4; j++) {
              int k = g * GROUP + t * W3Block.TRIPLE_COLUMNS + 4 * f + j;
              int code = (fields >> (8 * j)) & 7;
              s0 += code * q.get(q0 + k);
              s1 += code * q.get(q1 + k);
              s2 += code * q.get(q2 + k);
              s3 += code * q.get(q3 + k);
            }
          }
        }
        int zero = (w.get(block + ZEROS + (r >> 2)) >> (8 * (r & 3))) & 7;
        int sum = groups * GROUP + g;
        sums[l] = (float) (s0 - zero * q.get(q0 + sum));
        sums[256 + l] = (float) (s1 - zero * q.get(q1 + sum));
        sums[512 + l] = (float) (s2 - zero * q.get(q2 + sum));
        sums[768 + l] = (float) (s3 - zero * q.get(q3 + sum));
        int scale = w.get(block + SCALES + (r >> 1)) >> (16 * (r & 1));
        scales[l] = Arithmetic.fp16(scale & 65535, powers);
      }
      c.localBarrier();
      if ((slice & 3) == 0) {
        int many = Math.min(16, groups - base);
        for (int i = 0; i < many; i++) {
          int at = i * 16 + r;
          float scale = scales[at] * s.get(inputScales + base + i);
          acc = scale * sums[mine * 256 + at] + acc;
        }
      }
      c.localBarrier();
    }
    if ((slice & 3) == 0 && token + mine < n) {
      int output = tile * ROWS + r;
      float result = biasAt < 0 ? acc : acc + p.get(biasAt + output);
      int at = (token + mine) * yStride + yAt + output;
      y.set(at, add == 0 ? result : y.get(at) + result);
    }
  }

  /** Fields 6 and 7 of a triple: two bits of each byte of its three words. */
  private static int six(int low, int middle, int high) {
    return (((low >> 6) & PAIRS) << 4) | (((middle >> 6) & PAIRS) << 2) | ((high >> 6) & PAIRS);
  }
}

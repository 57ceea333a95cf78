package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W3Block;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * 3-bit linear layers, y = W x + b, as {@code Ops.linear} states: products of integers, and a
 * written order only for the few floats around them. A work group is slices by 8 lanes. A slice
 * takes quantization groups of a tile of 16 rows, a lane two rows of it, which share the inputs: it
 * loads all of its codes before it uses them, adds up a whole group in registers, and leaves a
 * number and a scale. The chain of floats over the groups is an item's, a row each.
 *
 * <p>The grid is [tiles][tokens]; inputs are what {@link GroupedIntKernels} makes, and come first
 * to the memory of the work group, where eight lanes read them at once. Codes are multiplied four
 * at a time as they lie, masked: see {@link W3Block}.
 */
final class W3Kernels {
  /** Tokens of a work group of {@link #four}. */
  static final int TOKENS = 4;

  /** Items of a slice: each takes two rows. */
  static final int LANES = 8;

  /** Longs of a block. */
  private static final int BLOCK = W3Block.BLOCK_BYTES / Long.BYTES;

  private static final int SCALES = W3Block.SCALES_OFFSET / Long.BYTES;
  private static final int ZEROS = W3Block.ZEROS_OFFSET / Long.BYTES;
  private static final int ROWS = W3Block.ROWS;

  /** Groups whose inputs and sums fit in a work group's memory at a time. */
  private static final int FEW = 16;

  private W3Kernels() {}

  /** Slices of a work group for so many groups: few rounds, of which none is nearly empty. */
  static int slices(int groups, int most) {
    int rounds = Math.ceilDiv(groups, most);
    return Math.ceilDiv(Math.ceilDiv(groups, rounds), 4) * 4; // whole warps
  }

  /** Slices of a work group of {@link #four}: enough for its items to finish 64 chains. */
  static int slicesOfFour(int groups) {
    return Math.max(TOKENS * ROWS / LANES, slices(groups, FEW));
  }

  /** Four tokens a work group, which share the unpacking; the same bits as {@link W3RowKernels}. */
  public static void four(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      LongArray w,
      FloatArray p,
      IntArray q,
      FloatArray s,
      FloatArray y,
      int wAt,
      int groups,
      int yAt,
      int yStride,
      int biasAt,
      int add,
      int slices) {
    int l = c.localIdx;
    int tile = c.groupIdx;
    int token = c.groupIdy * TOKENS;
    int r = l & 7;
    int slice = l >> 3;
    int n = step.get(StepLayout.N);
    int stride = groups * GroupedIntKernels.GROUP_INTS;
    int first = wAt + tile * groups * BLOCK;
    int[] x = c.allocateIntLocalArray(4096); // [tokens][groups]
    float[] values = c.allocateFloatLocalArray(1024); // [tokens][groups][rows]
    float[] scales = c.allocateFloatLocalArray(1024);
    float acc = 0f;
    for (int base = 0; base < groups; base += FEW) {
      int many = Math.min(FEW, groups - base);
      for (int i = 0; i < TOKENS; i++) {
        int from = (token + i) * stride + base * GroupedIntKernels.CODE_INTS;
        for (int j = l; j < many * GroupedIntKernels.CODE_INTS; j += slices * LANES) {
          x[i * FEW * GroupedIntKernels.CODE_INTS + j] = q.get(from + j);
        }
      }
      c.localBarrier();
      for (int g = slice; g < many; g += slices) {
        int at = first + (base + g) * BLOCK + r;
        long a0 = w.get(at);
        long b0 = w.get(at + 8);
        long d0 = w.get(at + 16);
        long a1 = w.get(at + 24);
        long b1 = w.get(at + 32);
        long d1 = w.get(at + 40);
        long a2 = w.get(at + 48);
        long b2 = w.get(at + 56);
        long d2 = w.get(at + 64);
        long a3 = w.get(at + 72);
        long b3 = w.get(at + 80);
        long d3 = w.get(at + 88);
        long zeros = w.get(first + (base + g) * BLOCK + ZEROS + (r >> 2));
        long pair = w.get(first + (base + g) * BLOCK + SCALES + (r >> 1));
        int zero = (int) (zeros >> (16 * (r & 3)));
        int bits = (int) (pair >> (32 * (r & 1)));
        float scaleA = Arithmetic.fp16(bits & 65535, powers);
        float scaleB = Arithmetic.fp16((bits >> 16) & 65535, powers);
        for (int i = 0; i < TOKENS; i++) {
          int mine = (token + i);
          int k = (i * FEW + g) * GroupedIntKernels.CODE_INTS;
          int lowA = 0;
          int highA = 0;
          int lowB = 0;
          int highB = 0;
          int lowA8 = 0;
          int highA8 = 0;
          int lowB8 = 0;
          int highB8 = 0;
          for (int t = 0; t < W3Block.TRIPLES; t++) {
            long va = t == 0 ? a0 : t == 1 ? a1 : t == 2 ? a2 : a3;
            long vb = t == 0 ? b0 : t == 1 ? b1 : t == 2 ? b2 : b3;
            long vd = t == 0 ? d0 : t == 1 ? d1 : t == 2 ? d2 : d3;
            int a = (int) va;
            int b = (int) vb;
            int d = (int) vd;
            int e = (int) (va >> 32);
            int f = (int) (vb >> 32);
            int h = (int) (vd >> 32);
            int sixA = W3Triple.six(a, b, d);
            int sixB = W3Triple.six(e, f, h);
            int i0 = k + 16 * t;
            int q0 = x[i0];
            int h0 = x[i0 + 1];
            int q1 = x[i0 + 2];
            int h1 = x[i0 + 3];
            int q2 = x[i0 + 4];
            int h2 = x[i0 + 5];
            int q3 = x[i0 + 6];
            int h3 = x[i0 + 7];
            int q4 = x[i0 + 8];
            int h4 = x[i0 + 9];
            int q5 = x[i0 + 10];
            int h5 = x[i0 + 11];
            int q6 = x[i0 + 12];
            int h6 = x[i0 + 13];
            int q7 = x[i0 + 14];
            int h7 = x[i0 + 15];
            lowA = W3Triple.even(lowA, a, b, d, sixA, q0, q2, q4, q6);
            highA = W3Triple.even(highA, a, b, d, sixA, h0, h2, h4, h6);
            lowA8 = W3Triple.odd(lowA8, a, b, d, sixA, q1, q3, q5, q7);
            highA8 = W3Triple.odd(highA8, a, b, d, sixA, h1, h3, h5, h7);
            lowB = W3Triple.even(lowB, e, f, h, sixB, q0, q2, q4, q6);
            highB = W3Triple.even(highB, e, f, h, sixB, h0, h2, h4, h6);
            lowB8 = W3Triple.odd(lowB8, e, f, h, sixB, q1, q3, q5, q7);
            highB8 = W3Triple.odd(highB8, e, f, h, sixB, h1, h3, h5, h7);
          }
          // eights have no remainder
          int sumA = (lowA + (lowA8 >> 3)) + ((highA + (highA8 >> 3)) << 8);
          int sumB = (lowB + (lowB8 >> 3)) + ((highB + (highB8 >> 3)) << 8);
          int total = q.get(mine * stride + groups * GroupedIntKernels.CODE_INTS + base + g);
          float inputScale = s.get(mine * groups + base + g);
          sumA = sumA - (zero & 7) * total;
          sumB = sumB - ((zero >> 8) & 7) * total;
          int to = (i * FEW + g) * ROWS + 2 * r;
          values[to] = (float) sumA;
          values[to + 1] = (float) sumB;
          scales[to] = scaleA * inputScale;
          scales[to + 1] = scaleB * inputScale;
        }
      }
      c.localBarrier();
      if (l < TOKENS * ROWS) {
        int at = (l >> 4) * FEW * ROWS + (l & 15);
        for (int i = 0; i < many; i++) {
          acc = scales[at + i * ROWS] * values[at + i * ROWS] + acc;
        }
      }
      c.localBarrier();
    }
    int mine = token + (l >> 4);
    if (l < TOKENS * ROWS && mine < n) {
      int output = tile * ROWS + (l & 15);
      float result = biasAt < 0 ? acc : acc + p.get(biasAt + output);
      int to = mine * yStride + yAt + output;
      y.set(to, add == 0 ? result : y.get(to) + result);
    }
  }
}

package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * Linear layers of 16 and 32 bits, and the head: y = W x + b in the order of sums that {@code
 * Ops.linear} states, 16 partial sums a row. The grid is [rows / 16][tokens].
 *
 * <p>A 16-bit matrix lies in longs, four columns each, rows padded to whole ones. Its work groups
 * have 128 items: 16 rows by 8, each of which has two of a row's partial sums, whose weights are
 * halves of the same long. Inputs come to the memory of the work group first.
 */
final class DenseKernels {
  /** Work items of a group of {@link #single}. */
  static final int LOCAL = 256;

  /** Work items of a group of {@link #sixteen} and {@link #sixteen4}. */
  static final int PAIRS = 128;

  /** Tokens of a work group of {@link #sixteen4}. */
  static final int TOKENS = 4;

  /** bf16 on a CUDA device, which has an instruction for it. */
  static final int CUDA_BF16 = 2;

  /** Columns whose inputs are in a work group's memory at a time. */
  private static final int MANY = 2048;

  /** The same of {@link #sixteen4}. */
  private static final int FEW = 1024;

  private DenseKernels() {}

  /** Longs of a row of so many columns. */
  static int rowLongs(int cols) {
    return (cols + 3) / 4;
  }

  /**
   * One token a work group, 16-bit weights.
   *
   * @param bf 1 for bf16, 0 for fp16, {@link #CUDA_BF16}
   * @param wAt first long of the matrix in w
   * @param cols columns
   * @param biasAt first bias in p; below 0 there are none
   * @param add 1 to add to y, 0 to store
   */
  public static void sixteen(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      LongArray w,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int bf,
      int wAt,
      int cols,
      int xStride,
      int yAt,
      int yStride,
      int biasAt,
      int add) {
    int l = c.localIdx;
    int row = c.groupIdx * 16 + (l >> 3);
    int token = c.groupIdy;
    int j = l & 7;
    int n = step.get(StepLayout.N);
    int xRow = token * xStride;
    int at = wAt + row * rowLongs(cols) + j;
    int whole = cols / 32 * 32;
    float[] in = c.allocateFloatLocalArray(2048);
    float[] lanes = c.allocateFloatLocalArray(256);
    float even = 0f;
    float odd = 0f;
    for (int first = 0; first < whole; first += MANY) {
      int count = Math.min(MANY, whole - first);
      for (int i = l; i < count; i += PAIRS) {
        in[i] = x.get(xRow + first + i);
      }
      c.localBarrier();
      for (int b = 0; b < count; b += 32) {
        long bits = w.get(at + (first + b) / 4);
        int low = (int) bits;
        int high = (int) (bits >> 32);
        int k = b + 4 * j;
        even = weight(low, bf, powers) * in[k] + even;
        even = weight(low >> 16, bf, powers) * in[k + 1] + even;
        odd = weight(high, bf, powers) * in[k + 2] + odd;
        odd = weight(high >> 16, bf, powers) * in[k + 3] + odd;
      }
      c.localBarrier();
    }
    int ints = 2 * (wAt + row * rowLongs(cols));
    for (int k = whole + 2 * j; k < cols; k += 16) {
      int bits = Arithmetic.intAt(w, ints + k / 2);
      even = weight(bits, bf, powers) * x.get(xRow + k) + even;
      if (k + 1 < cols) {
        odd = weight(bits >> 16, bf, powers) * x.get(xRow + k + 1) + odd;
      }
    }
    lanes[2 * l] = even;
    lanes[2 * l + 1] = odd;
    c.localBarrier();
    if (j == 0 && token < n) {
      int from = 2 * l;
      float sum =
          Arithmetic.tree(
              lanes[from],
              lanes[from + 1],
              lanes[from + 2],
              lanes[from + 3],
              lanes[from + 4],
              lanes[from + 5],
              lanes[from + 6],
              lanes[from + 7],
              lanes[from + 8],
              lanes[from + 9],
              lanes[from + 10],
              lanes[from + 11],
              lanes[from + 12],
              lanes[from + 13],
              lanes[from + 14],
              lanes[from + 15]);
      float result = biasAt < 0 ? sum : sum + p.get(biasAt + row);
      int to = token * yStride + yAt + row;
      y.set(to, add == 0 ? result : y.get(to) + result);
    }
  }

  /** Four tokens a work group; the same bits as {@link #sixteen}. */
  public static void sixteen4(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      LongArray w,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int bf,
      int wAt,
      int cols,
      int xStride,
      int yAt,
      int yStride,
      int biasAt,
      int add) {
    int l = c.localIdx;
    int row = c.groupIdx * 16 + (l >> 3);
    int token = c.groupIdy * TOKENS;
    int j = l & 7;
    int n = step.get(StepLayout.N);
    int x0 = token * xStride;
    int x1 = (token + 1) * xStride;
    int x2 = (token + 2) * xStride;
    int x3 = (token + 3) * xStride;
    int at = wAt + row * rowLongs(cols) + j;
    int whole = cols / 32 * 32;
    float[] in = c.allocateFloatLocalArray(4096); // [tokens][columns]
    float[] lanes = c.allocateFloatLocalArray(1024);
    float a0 = 0f;
    float a1 = 0f;
    float a2 = 0f;
    float a3 = 0f;
    float b0 = 0f;
    float b1 = 0f;
    float b2 = 0f;
    float b3 = 0f;
    for (int first = 0; first < whole; first += FEW) {
      int count = Math.min(FEW, whole - first);
      for (int i = l; i < count; i += PAIRS) {
        float v0 = x.get(x0 + first + i);
        float v1 = x.get(x1 + first + i);
        float v2 = x.get(x2 + first + i);
        float v3 = x.get(x3 + first + i);
        in[i] = v0;
        in[FEW + i] = v1;
        in[2 * FEW + i] = v2;
        in[3 * FEW + i] = v3;
      }
      c.localBarrier();
      for (int b = 0; b < count; b += 32) {
        long bits = w.get(at + (first + b) / 4);
        int low = (int) bits;
        int high = (int) (bits >> 32);
        int k = b + 4 * j;
        float u = weight(low, bf, powers);
        float v = weight(low >> 16, bf, powers);
        a0 = v * in[k + 1] + (u * in[k] + a0);
        a1 = v * in[FEW + k + 1] + (u * in[FEW + k] + a1);
        a2 = v * in[2 * FEW + k + 1] + (u * in[2 * FEW + k] + a2);
        a3 = v * in[3 * FEW + k + 1] + (u * in[3 * FEW + k] + a3);
        u = weight(high, bf, powers);
        v = weight(high >> 16, bf, powers);
        b0 = v * in[k + 3] + (u * in[k + 2] + b0);
        b1 = v * in[FEW + k + 3] + (u * in[FEW + k + 2] + b1);
        b2 = v * in[2 * FEW + k + 3] + (u * in[2 * FEW + k + 2] + b2);
        b3 = v * in[3 * FEW + k + 3] + (u * in[3 * FEW + k + 2] + b3);
      }
      c.localBarrier();
    }
    int ints = 2 * (wAt + row * rowLongs(cols));
    for (int k = whole + 2 * j; k < cols; k += 16) {
      int bits = Arithmetic.intAt(w, ints + k / 2);
      float u = weight(bits, bf, powers);
      a0 = u * x.get(x0 + k) + a0;
      a1 = u * x.get(x1 + k) + a1;
      a2 = u * x.get(x2 + k) + a2;
      a3 = u * x.get(x3 + k) + a3;
      if (k + 1 < cols) {
        float v = weight(bits >> 16, bf, powers);
        b0 = v * x.get(x0 + k + 1) + b0;
        b1 = v * x.get(x1 + k + 1) + b1;
        b2 = v * x.get(x2 + k + 1) + b2;
        b3 = v * x.get(x3 + k + 1) + b3;
      }
    }
    lanes[2 * l] = a0;
    lanes[2 * l + 1] = b0;
    lanes[256 + 2 * l] = a1;
    lanes[256 + 2 * l + 1] = b1;
    lanes[512 + 2 * l] = a2;
    lanes[512 + 2 * l + 1] = b2;
    lanes[768 + 2 * l] = a3;
    lanes[768 + 2 * l + 1] = b3;
    c.localBarrier();
    if (j < TOKENS && token + j < n) {
      int from = j * 256 + 2 * (l - j);
      float sum =
          Arithmetic.tree(
              lanes[from],
              lanes[from + 1],
              lanes[from + 2],
              lanes[from + 3],
              lanes[from + 4],
              lanes[from + 5],
              lanes[from + 6],
              lanes[from + 7],
              lanes[from + 8],
              lanes[from + 9],
              lanes[from + 10],
              lanes[from + 11],
              lanes[from + 12],
              lanes[from + 13],
              lanes[from + 14],
              lanes[from + 15]);
      float result = biasAt < 0 ? sum : sum + p.get(biasAt + row);
      int to = (token + j) * yStride + yAt + row;
      y.set(to, add == 0 ? result : y.get(to) + result);
    }
  }

  /** One token a work group, fp32 weights, row-major in p from {@code wAt} on. */
  public static void single(
      KernelContext c,
      IntArray step,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int wAt,
      int cols,
      int xStride,
      int yAt,
      int yStride,
      int biasAt,
      int add) {
    int l = c.localIdx;
    int row = c.groupIdx * 16 + (l >> 4);
    int token = c.groupIdy;
    int lane = l & 15;
    int n = step.get(StepLayout.N);
    int xRow = token * xStride;
    int at = wAt + row * cols;
    float[] lanes = c.allocateFloatLocalArray(256);
    float acc = 0f;
    for (int k = lane; k < cols; k += 16) {
      acc = p.get(at + k) * x.get(xRow + k) + acc;
    }
    lanes[l] = acc;
    c.localBarrier();
    if (lane == 0 && token < n) {
      float sum =
          Arithmetic.tree(
              lanes[l],
              lanes[l + 1],
              lanes[l + 2],
              lanes[l + 3],
              lanes[l + 4],
              lanes[l + 5],
              lanes[l + 6],
              lanes[l + 7],
              lanes[l + 8],
              lanes[l + 9],
              lanes[l + 10],
              lanes[l + 11],
              lanes[l + 12],
              lanes[l + 13],
              lanes[l + 14],
              lanes[l + 15]);
      float result = biasAt < 0 ? sum : sum + p.get(biasAt + row);
      int to = token * yStride + yAt + row;
      y.set(to, add == 0 ? result : y.get(to) + result);
    }
  }

  /** A 16-bit weight in the lower half of bits. */
  private static float weight(int bits, int bf, FloatArray powers) {
    if (bf == CUDA_BF16) {
      return BFloat16.bf16ToFloat((short) bits);
    }
    return bf == 1 ? Arithmetic.bf16(bits, powers) : Arithmetic.fp16(bits, powers);
  }
}

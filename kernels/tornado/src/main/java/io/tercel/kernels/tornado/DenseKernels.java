package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * Linear layers of 16 and 32 bits, and the head: y = W x + b in the order of sums that {@code
 * Ops.linear} states. A work group has 256 items: 16 rows by the 16 partial sums of each, so that
 * neighbours read neighbouring columns. The grid is [rows / 16][tokens].
 *
 * <p>A 16-bit matrix lies in longs, four columns each, rows padded to an even number of columns.
 */
final class DenseKernels {
  /** Work items of a group. */
  static final int LOCAL = 256;

  /** Tokens of a work group of {@link #sixteen4}. */
  static final int TOKENS = 4;

  private DenseKernels() {}

  /**
   * One token a work group, 16-bit weights.
   *
   * @param bf 1 for bf16, 0 for fp16
   * @param wAt first int of the matrix in w
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
    int row = c.groupIdx * 16 + (l >> 4);
    int token = c.groupIdy;
    int lane = l & 15;
    int n = step.get(StepLayout.N);
    int xRow = Math.max(Math.min(token, n - 1), 0) * xStride;
    int at = wAt + row * ((cols + 1) / 2);
    int blocks = cols / 32;
    float[] lanes = c.allocateFloatLocalArray(256);
    float acc = 0f;
    for (int b = 0; b < blocks; b++) {
      int bits = Arithmetic.intAt(w, at + b * 16 + lane);
      int k = xRow + b * 32 + 2 * lane;
      acc = weight(bits, bf, powers) * x.get(k) + acc;
      acc = weight(bits >> 16, bf, powers) * x.get(k + 1) + acc;
    }
    for (int k = blocks * 32 + lane; k < cols; k += 16) {
      int bits = Arithmetic.intAt(w, at + k / 2) >> (16 * (k & 1));
      acc = weight(bits, bf, powers) * x.get(xRow + k) + acc;
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
    int row = c.groupIdx * 16 + (l >> 4);
    int token = c.groupIdy * TOKENS;
    int lane = l & 15;
    int n = step.get(StepLayout.N);
    int last = Math.max(n - 1, 0);
    int x0 = Math.min(token, last) * xStride;
    int x1 = Math.min(token + 1, last) * xStride;
    int x2 = Math.min(token + 2, last) * xStride;
    int x3 = Math.min(token + 3, last) * xStride;
    int at = wAt + row * ((cols + 1) / 2);
    int blocks = cols / 32;
    float[] lanes = c.allocateFloatLocalArray(1024);
    float a0 = 0f;
    float a1 = 0f;
    float a2 = 0f;
    float a3 = 0f;
    for (int b = 0; b < blocks; b++) {
      int bits = Arithmetic.intAt(w, at + b * 16 + lane);
      int k = b * 32 + 2 * lane;
      float v = weight(bits, bf, powers);
      a0 = v * x.get(x0 + k) + a0;
      a1 = v * x.get(x1 + k) + a1;
      a2 = v * x.get(x2 + k) + a2;
      a3 = v * x.get(x3 + k) + a3;
      float u = weight(bits >> 16, bf, powers);
      a0 = u * x.get(x0 + k + 1) + a0;
      a1 = u * x.get(x1 + k + 1) + a1;
      a2 = u * x.get(x2 + k + 1) + a2;
      a3 = u * x.get(x3 + k + 1) + a3;
    }
    for (int k = blocks * 32 + lane; k < cols; k += 16) {
      float v = weight(Arithmetic.intAt(w, at + k / 2) >> (16 * (k & 1)), bf, powers);
      a0 = v * x.get(x0 + k) + a0;
      a1 = v * x.get(x1 + k) + a1;
      a2 = v * x.get(x2 + k) + a2;
      a3 = v * x.get(x3 + k) + a3;
    }
    lanes[l] = a0;
    lanes[256 + l] = a1;
    lanes[512 + l] = a2;
    lanes[768 + l] = a3;
    c.localBarrier();
    if (lane < TOKENS && token + lane < n) {
      int first = lane * 256 + l - lane;
      float sum =
          Arithmetic.tree(
              lanes[first],
              lanes[first + 1],
              lanes[first + 2],
              lanes[first + 3],
              lanes[first + 4],
              lanes[first + 5],
              lanes[first + 6],
              lanes[first + 7],
              lanes[first + 8],
              lanes[first + 9],
              lanes[first + 10],
              lanes[first + 11],
              lanes[first + 12],
              lanes[first + 13],
              lanes[first + 14],
              lanes[first + 15]);
      float result = biasAt < 0 ? sum : sum + p.get(biasAt + row);
      int to = (token + lane) * yStride + yAt + row;
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
    int xRow = Math.max(Math.min(token, n - 1), 0) * xStride;
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
    return bf == 1 ? Arithmetic.bf16(bits, powers) : Arithmetic.fp16(bits, powers);
  }
}

package io.tercel.kernels.tornado;

import io.tercel.kernels.ops.GroupedInts;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Activations as integers, by the rounding that {@link GroupedInts} defines. Kernels see no bits of
 * floats: the largest magnitude is the floats' maximum, which has no order either, and beside it
 * zero times each input is added up, which is a NaN as soon as one of them is no finite number.
 */
final class GroupedIntKernels {
  /** Work items of a group: each takes two columns. */
  static final int LOCAL = GroupedInts.GROUP / 2;

  /** Magnitudes below become zeros. */
  private static final float LEAST = 0x1p-100f;

  private GroupedIntKernels() {}

  /** Ints of a row of so many groups. */
  static int rowInts(int groups) {
    return groups * (GroupedInts.GROUP + 1);
  }

  /**
   * Gathers and rounds. The grid is [groups][tokens], a work group each.
   *
   * @param w holds the input order from {@code orderAt} on; below 0 column k reads input k
   * @param x [tokens][xStride]
   * @param q [tokens]: the codes, a group after the other, zeros after column {@code cols}; then
   *     the sum of each group's
   * @param s [tokens][groups] scales
   */
  public static void grouped(
      KernelContext c,
      IntArray step,
      IntArray w,
      FloatArray x,
      IntArray q,
      FloatArray s,
      int orderAt,
      int cols,
      int groups,
      int xStride) {
    int l = c.localIdx;
    int g = c.groupIdx;
    int token = c.groupIdy;
    int n = step.get(StepLayout.N);
    int row = Math.max(Math.min(token, n - 1), 0);
    float[] sizes = c.allocateFloatLocalArray(64);
    float[] flaws = c.allocateFloatLocalArray(64);
    int[] sums = c.allocateIntLocalArray(64);
    int k = g * GroupedInts.GROUP + l;
    int first = Math.min(k, cols - 1);
    int second = Math.min(k + LOCAL, cols - 1);
    if (orderAt >= 0) {
      first = w.get(orderAt + first);
      second = w.get(orderAt + second);
    }
    float a = x.get(row * xStride + first);
    float b = x.get(row * xStride + second);
    a = k < cols ? a : 0f;
    b = k + LOCAL < cols ? b : 0f;
    sizes[l] = Math.max(Math.abs(a), Math.abs(b));
    flaws[l] = 0f * a + 0f * b;
    c.localBarrier();
    for (int half = LOCAL / 2; half > 0; half = half >> 1) {
      if (l < half) {
        sizes[l] = Math.max(sizes[l], sizes[l + half]);
        flaws[l] = flaws[l] + flaws[l + half];
      }
      c.localBarrier();
    }
    float size = sizes[0];
    float flaw = flaws[0];
    boolean zeros = size < LEAST;
    boolean coded = !zeros && flaw == 0f;
    float factor = coded ? GroupedInts.MAX_CODE / size : 0f;
    int codeA = coded ? (int) Arithmetic.rint(a, factor) : 0;
    int codeB = coded ? (int) Arithmetic.rint(b, factor) : 0;
    sums[l] = codeA + codeB;
    c.localBarrier();
    for (int half = LOCAL / 2; half > 0; half = half >> 1) {
      if (l < half) {
        sums[l] = sums[l] + sums[l + half];
      }
      c.localBarrier();
    }
    if (token < n) {
      int to = row * groups * (GroupedInts.GROUP + 1);
      q.set(to + k, codeA);
      q.set(to + k + LOCAL, codeB);
      if (l == 0) {
        q.set(to + groups * GroupedInts.GROUP + g, sums[0]);
        float scale = zeros ? 0f : size / GroupedInts.MAX_CODE;
        s.set(row * groups + g, Arithmetic.plus(scale, flaw));
      }
    }
  }
}

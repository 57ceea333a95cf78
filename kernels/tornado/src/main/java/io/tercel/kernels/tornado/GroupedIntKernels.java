package io.tercel.kernels.tornado;

import io.tercel.kernels.ops.GroupedInts;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * Activations as integers, by the rounding that {@link GroupedInts} defines, of values that the
 * same kernel makes: see {@link Source}. Kernels see no bits of floats: the largest magnitude is
 * the floats' maximum, which has no order either, and beside it zero times each input is added up,
 * which is a NaN as soon as one of them is no finite number.
 */
final class GroupedIntKernels {
  /** Work items of a group: an item a column. */
  static final int LOCAL = GroupedInts.GROUP;

  /** Ints of the codes of a group: low bytes and high ones, four a word. */
  static final int CODE_INTS = GroupedInts.GROUP / 2;

  /** Ints of a group: codes and their sum. */
  static final int GROUP_INTS = CODE_INTS + 1;

  /** Values that an item reads before it stores the first, so that it waits for memory once. */
  private static final int AHEAD = 8;

  /** Magnitudes below become zeros. */
  static final float LEAST = 0x1p-100f;

  private GroupedIntKernels() {}

  /** Ints of a row of so many groups. */
  static int rowInts(int groups) {
    return groups * GROUP_INTS;
  }

  /**
   * Where in a row four neighbouring columns lie: their low bytes, and right behind their high
   * ones.
   *
   * @param column the first one
   * @param half 0 for low bytes, 1 for high ones
   */
  static int word(int column, int half) {
    return 2 * (column >> 2) + half;
  }

  /**
   * Makes, gathers and rounds. The grid is [groups][tokens], a work group each.
   *
   * @param w holds the input order from {@code orderAt} on; below 0 column k reads input k
   * @param p of {@link SourceArithmetic#NORMED}: its weights
   * @param q [tokens]: the codes, {@link #word} by word, zeros after column {@code cols}; then the
   *     sum of each group's
   * @param s [tokens][groups] scales
   * @param source what x holds, and {@code at}, {@code more}, {@code headDim} and {@code eps} mean
   */
  public static void grouped(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      LongArray w,
      FloatArray p,
      FloatArray x,
      IntArray q,
      FloatArray s,
      int source,
      int orderAt,
      int cols,
      int groups,
      int xStride,
      int at,
      int more,
      int headDim,
      float eps) {
    int l = c.localIdx;
    int g = c.groupIdx;
    int token = c.groupIdy;
    int n = step.get(StepLayout.N);
    int row = token;
    int from =
        source == SourceArithmetic.NORMED && more >= 0 ? step.get(Math.max(more, 0) + row) : row;
    float[] chunk = c.allocateFloatLocalArray(2048);
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] sizes = c.allocateFloatLocalArray(128);
    float[] flaws = c.allocateFloatLocalArray(128);
    int[] codes = c.allocateIntLocalArray(128);
    float[] mosts = c.allocateFloatLocalArray(16);
    float[] sicks = c.allocateFloatLocalArray(16);
    int[] sums = c.allocateIntLocalArray(16);
    float[] ahead = new float[8];
    float scale = 1f;
    if (source == SourceArithmetic.NORMED) {
      float acc = 0f;
      for (int first = 0; first < cols; first += 2048) {
        int count = Math.min(2048, cols - first);
        for (int start = l; start < count; start += AHEAD * LOCAL) {
          for (int j = 0; j < AHEAD; j++) {
            ahead[j] = x.get(from * xStride + first + Math.min(start + j * LOCAL, count - 1));
          }
          for (int j = 0; j < AHEAD; j++) {
            int k = start + j * LOCAL;
            if (k < count) {
              chunk[k] = ahead[j];
            }
          }
        }
        c.localBarrier();
        if (l < 16) {
          for (int k = l; k < count; k += 16) {
            acc = chunk[k] * chunk[k] + acc;
          }
          lanes[l] = acc;
        }
        c.localBarrier();
      }
      float sum =
          Arithmetic.tree(
              lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5], lanes[6], lanes[7],
              lanes[8], lanes[9], lanes[10], lanes[11], lanes[12], lanes[13], lanes[14], lanes[15]);
      scale = Arithmetic.normScale(sum, cols, eps);
    }
    int k = g * GroupedInts.GROUP + l;
    int input = Math.min(k, cols - 1);
    if (orderAt >= 0) {
      input = Arithmetic.intAt(w, orderAt + input);
    }
    float value =
        SourceArithmetic.value(
            source, step, powers, p, x, row, from, input, xStride, at, more, headDim, scale);
    value = k < cols ? value : 0f;
    sizes[l] = Math.abs(value);
    flaws[l] = 0f * value;
    c.localBarrier();
    if (l < 16) {
      float most = sizes[8 * l];
      float sick = flaws[8 * l];
      for (int i = 1; i < 8; i++) {
        most = Math.max(most, sizes[8 * l + i]);
        sick = sick + flaws[8 * l + i];
      }
      mosts[l] = most;
      sicks[l] = sick;
    }
    c.localBarrier();
    float size = mosts[0];
    float flaw = sicks[0];
    for (int i = 1; i < 16; i++) {
      size = Math.max(size, mosts[i]);
      flaw = flaw + sicks[i];
    }
    boolean zeros = size < LEAST;
    boolean coded = !zeros && flaw == 0f;
    float factor = coded ? GroupedInts.MAX_CODE / size : 0f;
    int code = coded ? (int) Arithmetic.rint(value, factor) : 0;
    codes[l] = code;
    c.localBarrier();
    if (l < 16) {
      int part = 0;
      for (int i = 0; i < 8; i++) {
        part += codes[8 * l + i];
      }
      sums[l] = part;
    }
    c.localBarrier();
    if (token < n) {
      int to = row * groups * GROUP_INTS;
      if (l < CODE_INTS) {
        int column = 4 * (l >> 1);
        int a = codes[column];
        int b = codes[column + 1];
        int d = codes[column + 2];
        int e = codes[column + 3];
        int low = FourBytes.of(a, b, d, e);
        int high =
            FourBytes.of(
                FourBytes.high(a), FourBytes.high(b), FourBytes.high(d), FourBytes.high(e));
        q.set(to + g * CODE_INTS + l, (l & 1) == 0 ? low : high);
      }
      if (l == 0) {
        int total = 0;
        for (int i = 0; i < 16; i++) {
          total += sums[i];
        }
        q.set(to + groups * CODE_INTS + g, total);
        float step16 = zeros ? 0f : size / GroupedInts.MAX_CODE;
        s.set(row * groups + g, Arithmetic.plus(step16, flaw));
      }
    }
  }
}

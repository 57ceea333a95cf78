package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.ops.RowInts;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Activations as integers of 4 bits, by the rounding that {@link RowInts} defines. As in {@link
 * GroupedIntKernels} zero times each input is added up, to find what is no finite number.
 */
final class RowIntKernels {
  /** Work items of a group. */
  static final int LOCAL = 256;

  /** Ranges below this are none. */
  private static final float LEAST = 0x1p-100f;

  private RowIntKernels() {}

  /** Words of {@code W4Tile} that a row of so many inputs meets: eight columns each. */
  static int words(int cols) {
    return W4Tile.blocks(cols) * W4Tile.WORDS;
  }

  /** Ints of a row: two for each word, four codes each, and one for what follows. */
  static int rowInts(int cols) {
    return 2 * words(cols) + 1;
  }

  /**
   * Where in a row four neighbouring columns lie: first the lower halves of all words, then the
   * upper ones.
   */
  static int word(int column, int words) {
    return ((column >> 2) & 1) * words + (column >> 3);
  }

  /**
   * Rounds rows that are transformed already. The grid is [1][tokens], a work group each.
   *
   * @param p holds what the least and what the greatest value is multiplied by, at {@code clipAt}
   * @param q [tokens]: the codes, {@link #word} by word, zeros after column {@code cols}; then 16
   *     times their sum, plus the zero point
   * @param s [tokens] scales
   * @param words {@link #words} of a row
   */
  public static void rounded(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      FloatArray p,
      FloatArray x,
      IntArray q,
      FloatArray s,
      int clipAt,
      int cols,
      int words,
      int xStride) {
    int l = c.localIdx;
    int token = c.groupIdy;
    int n = step.get(StepLayout.N);
    int row = token;
    float[] least = c.allocateFloatLocalArray(256);
    float[] most = c.allocateFloatLocalArray(256);
    float[] flaws = c.allocateFloatLocalArray(256);
    int[] sums = c.allocateIntLocalArray(256);
    float min = 0f;
    float max = 0f;
    float flaw = 0f;
    for (int k = l; k < cols; k += LOCAL) {
      float value = x.get(row * xStride + k);
      flaw = 0f * value + flaw;
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    least[l] = min;
    most[l] = max;
    flaws[l] = flaw;
    c.localBarrier();
    for (int half = LOCAL / 2; half > 0; half = half >> 1) {
      if (l < half) {
        least[l] = Math.min(least[l], least[l + half]);
        most[l] = Math.max(most[l], most[l + half]);
        flaws[l] = flaws[l] + flaws[l + half];
      }
      c.localBarrier();
    }
    float low = Arithmetic.product(least[0], p.get(clipAt), powers);
    float high = Arithmetic.product(most[0], p.get(clipAt + 1), powers);
    float range = high - low;
    float sick = 0f * range + flaws[0]; // a range too large for a float is no number either
    boolean zeros = range < LEAST;
    boolean coded = !zeros && sick == 0f;
    float scale = zeros ? 0f : range / RowInts.MAX_CODE;
    float divisor = coded ? scale : 1f;
    int zero = coded ? Arithmetic.fourBits(-low / divisor, 0) : 0;
    int to = row * (2 * words + 1);
    int sum = 0;
    for (int i = l; i < 2 * words; i += LOCAL) {
      int half = i < words ? 0 : 1;
      int column = 8 * (i - half * words) + 4 * half;
      int four = 0;
      for (int j = 0; j < 4; j++) {
        int k = column + j;
        float value = x.get(row * xStride + Math.min(k, cols - 1));
        int code = coded && k < cols ? Arithmetic.fourBits(value / divisor, zero) : 0;
        sum += code;
        four = four | (code << (8 * j));
      }
      if (token < n) {
        q.set(to + i, four);
      }
    }
    sums[l] = sum;
    c.localBarrier();
    for (int half = LOCAL / 2; half > 0; half = half >> 1) {
      if (l < half) {
        sums[l] = sums[l] + sums[l + half];
      }
      c.localBarrier();
    }
    if (l == 0 && token < n) {
      q.set(to + 2 * words, (sums[0] << 4) + zero);
      s.set(row, Arithmetic.plus(scale, sick));
    }
  }
}

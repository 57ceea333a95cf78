package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W4Tile;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * 4-bit linear layers, y = W x + b, as {@code Ops.linear} states: one exact sum of integers a row,
 * then one product of floats. A work group has 256 items: 16 rows of one tile by 16 slices, each of
 * which takes every sixteenth block of 128 columns. The grid is [tiles][tokens]; inputs are what
 * {@link RowIntKernels} makes.
 *
 * <p>With stored codes u = c + 8 and inputs q of zero point z, sum c (q - z) is sum u q - z sum u -
 * 8 (sum q - columns z), which minds no padding: there u and q are 0.
 */
final class W4Kernels {
  /** Work items of a group. */
  static final int LOCAL = 256;

  /** Tokens of a work group of {@link #four}. */
  static final int TOKENS = 4;

  private static final int ROWS = W4Tile.ROWS;
  private static final int COLUMNS = W4Tile.BLOCK;
  private static final int BLOCK = W4Tile.BLOCK_BYTES / Integer.BYTES;
  private static final int TRAILER = W4Tile.TRAILER_BYTES / Integer.BYTES;
  private static final int SUMS = W4Tile.SUMS_OFFSET / Integer.BYTES;

  private W4Kernels() {}

  /**
   * One token a work group.
   *
   * @param w packed tiles from {@code wAt} on
   * @param p biases of whole tiles from {@code biasAt} on; below 0 there are none
   * @param q [tokens] codes, then their sum and the zero point
   * @param s [tokens] scales
   * @param y [tokens][yStride], from column yAt on
   * @param cols inputs, padding not counted
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
      int cols,
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
    int blocks = (cols + COLUMNS - 1) / COLUMNS;
    int row = bounded * (blocks * COLUMNS + 1);
    int at = wAt + tile * (blocks * BLOCK + TRAILER);
    int[] sums = c.allocateIntLocalArray(256);
    int sum = 0;
    for (int b = slice; b < blocks; b += 16) {
      for (int t = 0; t < W4Tile.WORDS; t++) {
        int word = w.get(at + b * BLOCK + t * ROWS + r);
        int k = row + b * COLUMNS + t * W4Tile.WORD_COLUMNS;
        for (int j = 0; j < 4; j++) {
          sum += ((word >> (8 * j)) & 15) * q.get(k + j);
          sum += ((word >> (8 * j + 4)) & 15) * q.get(k + 4 + j);
        }
      }
    }
    sums[l] = sum;
    c.localBarrier();
    if (slice == 0 && token < n) {
      int total = 0;
      for (int i = 0; i < 16; i++) {
        total += sums[i * 16 + r];
      }
      int trailer = at + blocks * BLOCK;
      total = completed(total, q.get(row + blocks * COLUMNS), w.get(trailer + SUMS + r), cols);
      int bits = w.get(trailer + (r >> 1)) >> (16 * (r & 1));
      // below zero, since what is subtracted is never fused; a - -b is a + b, signs of zeros and
      // all
      float minus = -Arithmetic.fp16(bits & 65535, powers) * s.get(bounded) * (float) total;
      int output = tile * ROWS + r;
      float result = biasAt < 0 ? -minus : p.get(biasAt + output) - minus;
      int to = token * yStride + yAt + output;
      y.set(to, add == 0 ? result : y.get(to) + result);
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
      int cols,
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
    int blocks = (cols + COLUMNS - 1) / COLUMNS;
    int stride = blocks * COLUMNS + 1;
    int q0 = Math.min(token, last) * stride;
    int q1 = Math.min(token + 1, last) * stride;
    int q2 = Math.min(token + 2, last) * stride;
    int q3 = Math.min(token + 3, last) * stride;
    int at = wAt + tile * (blocks * BLOCK + TRAILER);
    int[] sums = c.allocateIntLocalArray(1024);
    int s0 = 0;
    int s1 = 0;
    int s2 = 0;
    int s3 = 0;
    for (int b = slice; b < blocks; b += 16) {
      for (int t = 0; t < W4Tile.WORDS; t++) {
        int word = w.get(at + b * BLOCK + t * ROWS + r);
        int first = b * COLUMNS + t * W4Tile.WORD_COLUMNS;
        for (int half = 0; half < 2; half++) {
          for (int j = 0; j < 4; j++) {
            int code = (word >> (8 * j + 4 * half)) & 15;
            int k = first + 4 * half + j;
            s0 += code * q.get(q0 + k);
            s1 += code * q.get(q1 + k);
            s2 += code * q.get(q2 + k);
            s3 += code * q.get(q3 + k);
          }
        }
      }
    }
    sums[l] = s0;
    sums[256 + l] = s1;
    sums[512 + l] = s2;
    sums[768 + l] = s3;
    c.localBarrier();
    // each quarter of the items finishes one token
    int mine = slice >> 2;
    if ((slice & 3) == 0 && token + mine < n) {
      int total = 0;
      for (int i = 0; i < 16; i++) {
        total += sums[mine * 256 + i * 16 + r];
      }
      int trailer = at + blocks * BLOCK;
      int meta = q.get((token + mine) * stride + blocks * COLUMNS);
      total = completed(total, meta, w.get(trailer + SUMS + r), cols);
      int bits = w.get(trailer + (r >> 1)) >> (16 * (r & 1));
      float minus = -Arithmetic.fp16(bits & 65535, powers) * s.get(token + mine) * (float) total;
      int output = tile * ROWS + r;
      float result = biasAt < 0 ? -minus : p.get(biasAt + output) - minus;
      int to = (token + mine) * yStride + yAt + output;
      y.set(to, add == 0 ? result : y.get(to) + result);
    }
  }

  /**
   * The product of codes and inputs, from that of stored ones.
   *
   * @param meta 16 times the sum of the inputs' codes, plus their zero point
   * @param weights the sum of the row's stored codes
   */
  private static int completed(int stored, int meta, int weights, int cols) {
    int zero = meta & 15;
    return stored - zero * weights - W4Tile.ZERO * ((meta >> 4) - cols * zero);
  }
}

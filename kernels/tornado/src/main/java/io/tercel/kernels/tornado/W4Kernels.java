package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W4Tile;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * 4-bit linear layers, y = W x + b, as {@code Ops.linear} states: one exact sum of integers a row,
 * then one product of floats. A work group has 256 items: 32 slices, each of which takes every 32nd
 * word of a tile, by 8 lanes, each of which takes two of its 16 rows, which share the inputs. The
 * grid is [tiles][tokens]; inputs are what {@link RowIntKernels} makes.
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
  private static final int WORDS = W4Tile.WORDS;
  private static final int TRAILER = W4Tile.TRAILER_BYTES / Long.BYTES;
  private static final int SUMS = W4Tile.SUMS_OFFSET / Integer.BYTES;
  private static final int SLICES = 32;

  /** Items of a slice: each takes two rows. */
  private static final int LANES = ROWS / 2;

  /** A code of each byte. */
  private static final int CODES = 0x0f0f0f0f;

  private W4Kernels() {}

  /**
   * One token a work group.
   *
   * @param w packed tiles from long {@code wAt} on
   * @param p biases of whole tiles from {@code biasAt} on; below 0 there are none
   * @param q [tokens] codes, then their sum and the zero point: {@link RowIntKernels#word}
   * @param s [tokens] scales
   * @param y [tokens][yStride], from column yAt on
   * @param cols inputs, padding not counted
   * @param add 1 to add to y, 0 to store
   */
  public static void one(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      LongArray w,
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
    int r = l & 7;
    int slice = l >> 3;
    int n = step.get(StepLayout.N);
    int words = (cols + COLUMNS - 1) / COLUMNS * WORDS;
    int row = token * (2 * words + 1);
    int at = wAt + tile * (words * LANES + TRAILER);
    int[] parts = c.allocateIntLocalArray(512); // [slices][rows]
    int first = 0;
    int second = 0;
    for (int t = slice; t < words; t += SLICES) {
      long rows = w.get(at + t * LANES + r);
      int a = (int) rows;
      int b = (int) (rows >> 32);
      int q0 = q.get(row + t);
      int q1 = q.get(row + words + t);
      first = FourBytes.dot(a & CODES, q0, first);
      first = FourBytes.dot((a >> 4) & CODES, q1, first);
      second = FourBytes.dot(b & CODES, q0, second);
      second = FourBytes.dot((b >> 4) & CODES, q1, second);
    }
    parts[slice * ROWS + 2 * r] = first;
    parts[slice * ROWS + 2 * r + 1] = second;
    c.localBarrier();
    parts[l] = parts[l] + parts[LOCAL + l];
    c.localBarrier();
    if (l < ROWS && token < n) {
      int total = 0;
      for (int i = l; i < LOCAL; i += ROWS) {
        total += parts[i];
      }
      int trailer = 2 * (at + words * LANES); // in ints
      total =
          completed(total, q.get(row + 2 * words), Arithmetic.intAt(w, trailer + SUMS + l), cols);
      int bits = Arithmetic.intAt(w, trailer + (l >> 1)) >> (16 * (l & 1));
      float scale = Arithmetic.fp16(bits & 65535, powers) * s.get(token);
      float product = Arithmetic.product(scale, (float) total, powers);
      int output = tile * ROWS + l;
      float result = biasAt < 0 ? product : p.get(biasAt + output) + product;
      int to = token * yStride + yAt + output;
      y.set(to, add == 0 ? result : y.get(to) + result);
    }
  }

  /** Four tokens a work group, which share the unpacking; the same bits as {@link #one}. */
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
      int cols,
      int yAt,
      int yStride,
      int biasAt,
      int add) {
    int l = c.localIdx;
    int tile = c.groupIdx;
    int token = c.groupIdy * TOKENS;
    int r = l & 7;
    int slice = l >> 3;
    int n = step.get(StepLayout.N);
    int words = (cols + COLUMNS - 1) / COLUMNS * WORDS;
    int stride = 2 * words + 1;
    int row0 = token * stride;
    int row1 = (token + 1) * stride;
    int row2 = (token + 2) * stride;
    int row3 = (token + 3) * stride;
    int at = wAt + tile * (words * LANES + TRAILER);
    int[] parts = c.allocateIntLocalArray(2048); // [slices][tokens][rows]
    int a0 = 0;
    int a1 = 0;
    int a2 = 0;
    int a3 = 0;
    int b0 = 0;
    int b1 = 0;
    int b2 = 0;
    int b3 = 0;
    for (int t = slice; t < words; t += SLICES) {
      long rows = w.get(at + t * LANES + r);
      int a = (int) rows;
      int b = (int) (rows >> 32);
      int lowA = a & CODES;
      int highA = (a >> 4) & CODES;
      int lowB = b & CODES;
      int highB = (b >> 4) & CODES;
      int q0 = q.get(row0 + t);
      int h0 = q.get(row0 + words + t);
      int q1 = q.get(row1 + t);
      int h1 = q.get(row1 + words + t);
      int q2 = q.get(row2 + t);
      int h2 = q.get(row2 + words + t);
      int q3 = q.get(row3 + t);
      int h3 = q.get(row3 + words + t);
      a0 = FourBytes.dot(highA, h0, FourBytes.dot(lowA, q0, a0));
      b0 = FourBytes.dot(highB, h0, FourBytes.dot(lowB, q0, b0));
      a1 = FourBytes.dot(highA, h1, FourBytes.dot(lowA, q1, a1));
      b1 = FourBytes.dot(highB, h1, FourBytes.dot(lowB, q1, b1));
      a2 = FourBytes.dot(highA, h2, FourBytes.dot(lowA, q2, a2));
      b2 = FourBytes.dot(highB, h2, FourBytes.dot(lowB, q2, b2));
      a3 = FourBytes.dot(highA, h3, FourBytes.dot(lowA, q3, a3));
      b3 = FourBytes.dot(highB, h3, FourBytes.dot(lowB, q3, b3));
    }
    int mine = slice * TOKENS * ROWS + 2 * r;
    parts[mine] = a0;
    parts[mine + 1] = b0;
    parts[mine + ROWS] = a1;
    parts[mine + ROWS + 1] = b1;
    parts[mine + 2 * ROWS] = a2;
    parts[mine + 2 * ROWS + 1] = b2;
    parts[mine + 3 * ROWS] = a3;
    parts[mine + 3 * ROWS + 1] = b3;
    c.localBarrier();
    int sum = 0;
    for (int i = l; i < 2048; i += LOCAL) {
      sum += parts[i];
    }
    c.localBarrier();
    parts[l] = sum;
    c.localBarrier();
    int own = token + (l >> 4);
    if (l < TOKENS * ROWS && own < n) {
      int lane = l & 15;
      int total = (parts[l] + parts[l + 64]) + (parts[l + 128] + parts[l + 192]);
      int trailer = 2 * (at + words * LANES); // in ints
      int meta = q.get(own * stride + 2 * words);
      total = completed(total, meta, Arithmetic.intAt(w, trailer + SUMS + lane), cols);
      int bits = Arithmetic.intAt(w, trailer + (lane >> 1)) >> (16 * (lane & 1));
      float scale = Arithmetic.fp16(bits & 65535, powers) * s.get(own);
      float product = Arithmetic.product(scale, (float) total, powers);
      int output = tile * ROWS + lane;
      float result = biasAt < 0 ? product : p.get(biasAt + output) + product;
      int to = own * yStride + yAt + output;
      y.set(to, add == 0 ? result : y.get(to) + result);
    }
  }

  /**
   * The product of codes and inputs, from that of stored ones.
   *
   * @param meta 16 times the sum of the inputs' codes, plus their zero point
   * @param weights the sum of the row's stored codes
   */
  static int completed(int stored, int meta, int weights, int cols) {
    int zero = meta & 15;
    return stored - zero * weights - W4Tile.ZERO * ((meta >> 4) - cols * zero);
  }
}

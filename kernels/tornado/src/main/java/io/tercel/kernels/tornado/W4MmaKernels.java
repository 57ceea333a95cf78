package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W4Tile;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * 4-bit linear layers of many rows on a CUDA device's matrix units, to the bits of {@link
 * W4Kernels}: sums of integers, exact in any order. Two kernels, since what the units have summed
 * leaves registers for an array in the device's memory alone.
 *
 * <p>{@link #products} has one warp a work group, since the units' operands are read from the
 * beginning of an array. It takes two tiles of weights, 32 rows, by {@value #TOKENS} tokens, and a
 * share of the columns, 32 at a time: codes become bytes in the work group's memory, from where the
 * units take them, while the next ones come. The order of columns is that of the words; it is the
 * same for weights and inputs, and no sum minds it.
 */
final class W4MmaKernels {
  /** Rows of a pass from which on these are used. */
  static final int FEWEST = 16;

  /** Work items of a group of {@link #products}: a warp. */
  static final int WARP = 32;

  /** Tokens of a work group of {@link #products}. */
  static final int TOKENS = 32;

  /** Work items of a group of {@link #finish}: a row of the matrix each. */
  static final int LOCAL = 128;

  /** Tokens of a work group of {@link #finish}. */
  static final int FINISHED = 8;

  /** Warps that fill a large device: eight of each of 132 multiprocessors. */
  private static final int MANY_WARPS = 1056;

  private static final int ROWS = W4Tile.ROWS;
  private static final int COLUMNS = W4Tile.BLOCK;
  private static final int WORDS = W4Tile.WORDS;
  private static final int TRAILER = W4Tile.TRAILER_BYTES / Long.BYTES;
  private static final int SUMS = W4Tile.SUMS_OFFSET / Integer.BYTES;

  /** Longs of a word of a tile. */
  private static final int LANES = ROWS / 2;

  /** Words of the columns that the units multiply at a time. */
  private static final int STEP = 4;

  /** A code of each byte. */
  private static final int CODES = 0x0f0f0f0f;

  private W4MmaKernels() {}

  /** Pairs of tiles of so many rows. */
  static int pairs(int rows) {
    return (rows / ROWS + 1) / 2;
  }

  /** Shares of the columns, so that there are work groups enough. */
  static int shares(int rows, int cols) {
    int steps = W4Tile.blocks(cols) * (WORDS / STEP);
    return Math.clamp(MANY_WARPS / pairs(rows), 1, Math.max(1, steps / 8));
  }

  /** Sums of a layer of so many rows. */
  static int sums(int rows, int cols, int tokens) {
    return shares(rows, cols) * pairs(rows) * 2 * ROWS * tokens;
  }

  /**
   * Sums of products of stored codes. The grid is [shares x pairs of tiles][tokens / 32].
   *
   * @param w packed tiles from long {@code wAt} on
   * @param q [tokens] codes, then their sum and the zero point: {@link RowIntKernels#word}
   * @param sums [shares][rows, of whole pairs of tiles][stride], whatever there is of tokens
   * @param tiles of the matrix
   * @param stride room for tokens in sums
   */
  public static void products(
      KernelContext c,
      LongArray w,
      IntArray q,
      IntArray sums,
      int wAt,
      int cols,
      int tiles,
      int shares,
      int stride) {
    int l = c.localIdx;
    int pairs = (tiles + 1) / 2;
    int share = c.groupIdx / pairs;
    int pair = c.groupIdx - share * pairs;
    int token = c.groupIdy * TOKENS;
    int words = (cols + COLUMNS - 1) / COLUMNS * WORDS;
    int steps = words / STEP;
    int perShare = (steps + shares - 1) / shares;
    int first = share * perShare;
    int end = Math.min(first + perShare, steps);
    int tile = words * LANES + TRAILER;
    int a = wAt + 2 * pair * tile + l;
    int b = wAt + Math.min(2 * pair + 1, tiles - 1) * tile + l;
    // as the codes' lane: rows 2r and 2r + 1, of the step's word t
    int r = l & 7;
    int t = l >> 3;
    // as the inputs' lane: tokens 2j and 2j + 1, four columns of the step's eight times four
    int j = l & 3;
    int four = l >> 2;
    int rowInts = 2 * words + 1;
    int x = (token + 2 * j) * rowInts + (four & 1) * words + (four >> 1);
    int[] tileA = c.allocateIntLocalArray(128);
    int[] tileB = c.allocateIntLocalArray(128);
    int[] panel0 = c.allocateIntLocalArray(64);
    int[] panel1 = c.allocateIntLocalArray(64);
    int[] panel2 = c.allocateIntLocalArray(64);
    int[] panel3 = c.allocateIntLocalArray(64);
    int[] a0 = c.mmaFragmentInt(0);
    int[] a1 = c.mmaFragmentInt(0);
    int[] a2 = c.mmaFragmentInt(0);
    int[] a3 = c.mmaFragmentInt(0);
    int[] b0 = c.mmaFragmentInt(0);
    int[] b1 = c.mmaFragmentInt(0);
    int[] b2 = c.mmaFragmentInt(0);
    int[] b3 = c.mmaFragmentInt(0);
    int at = Math.min(first, steps - 1) * STEP;
    long wa = w.get(a + at * LANES);
    long wb = w.get(b + at * LANES);
    int x0 = q.get(x + at);
    int y0 = q.get(x + rowInts + at);
    int x1 = q.get(x + 8 * rowInts + at);
    int y1 = q.get(x + 9 * rowInts + at);
    int x2 = q.get(x + 16 * rowInts + at);
    int y2 = q.get(x + 17 * rowInts + at);
    int x3 = q.get(x + 24 * rowInts + at);
    int y3 = q.get(x + 25 * rowInts + at);
    for (int s = first; s < end; s++) {
      c.localBarrier(); // what was there has been read
      int to = 16 * r + 2 * t;
      int low = (int) wa;
      int high = (int) (wa >> 32);
      tileA[to] = low & CODES;
      tileA[to + 1] = (low >> 4) & CODES;
      tileA[to + 8] = high & CODES;
      tileA[to + 9] = (high >> 4) & CODES;
      low = (int) wb;
      high = (int) (wb >> 32);
      tileB[to] = low & CODES;
      tileB[to + 1] = (low >> 4) & CODES;
      tileB[to + 8] = high & CODES;
      tileB[to + 9] = (high >> 4) & CODES;
      int into = 8 * four + j;
      panel0[into] = (x0 & 65535) | (y0 << 16);
      panel0[into + 4] = ((x0 >> 16) & 65535) | (y0 & -65536);
      panel1[into] = (x1 & 65535) | (y1 << 16);
      panel1[into + 4] = ((x1 >> 16) & 65535) | (y1 & -65536);
      panel2[into] = (x2 & 65535) | (y2 << 16);
      panel2[into + 4] = ((x2 >> 16) & 65535) | (y2 & -65536);
      panel3[into] = (x3 & 65535) | (y3 << 16);
      panel3[into + 4] = ((x3 >> 16) & 65535) | (y3 & -65536);
      at = Math.min(s + 1, steps - 1) * STEP;
      wa = w.get(a + at * LANES);
      wb = w.get(b + at * LANES);
      x0 = q.get(x + at);
      y0 = q.get(x + rowInts + at);
      x1 = q.get(x + 8 * rowInts + at);
      y1 = q.get(x + 9 * rowInts + at);
      x2 = q.get(x + 16 * rowInts + at);
      y2 = q.get(x + 17 * rowInts + at);
      x3 = q.get(x + 24 * rowInts + at);
      y3 = q.get(x + 25 * rowInts + at);
      c.localBarrier();
      byte[] rowsA = c.mmaLoadAInt8(tileA, 32);
      byte[] rowsB = c.mmaLoadAInt8(tileB, 32);
      byte[] tokens0 = c.mmaLoadBInt8(panel0, 32);
      a0 = c.mmaInt8(rowsA, tokens0, a0, MMAShape.M16N8K32);
      b0 = c.mmaInt8(rowsB, tokens0, b0, MMAShape.M16N8K32);
      byte[] tokens1 = c.mmaLoadBInt8(panel1, 32);
      a1 = c.mmaInt8(rowsA, tokens1, a1, MMAShape.M16N8K32);
      b1 = c.mmaInt8(rowsB, tokens1, b1, MMAShape.M16N8K32);
      byte[] tokens2 = c.mmaLoadBInt8(panel2, 32);
      a2 = c.mmaInt8(rowsA, tokens2, a2, MMAShape.M16N8K32);
      b2 = c.mmaInt8(rowsB, tokens2, b2, MMAShape.M16N8K32);
      byte[] tokens3 = c.mmaLoadBInt8(panel3, 32);
      a3 = c.mmaInt8(rowsA, tokens3, a3, MMAShape.M16N8K32);
      b3 = c.mmaInt8(rowsB, tokens3, b3, MMAShape.M16N8K32);
    }
    int row = (share * pairs + pair) * 2 * ROWS;
    c.mmaStoreInt(a0, sums, row, token, stride);
    c.mmaStoreInt(a1, sums, row, token + 8, stride);
    c.mmaStoreInt(a2, sums, row, token + 16, stride);
    c.mmaStoreInt(a3, sums, row, token + 24, stride);
    c.mmaStoreInt(b0, sums, row + ROWS, token, stride);
    c.mmaStoreInt(b1, sums, row + ROWS, token + 8, stride);
    c.mmaStoreInt(b2, sums, row + ROWS, token + 16, stride);
    c.mmaStoreInt(b3, sums, row + ROWS, token + 24, stride);
  }

  /**
   * Adds up the shares, and makes outputs of the sums. The grid is [rows / 128][tokens / 8].
   *
   * @param w packed tiles from long {@code wAt} on
   * @param p biases of whole tiles from {@code biasAt} on; below 0 there are none
   * @param q [tokens] codes, then their sum and the zero point
   * @param s [tokens] scales
   * @param sums see {@link #products}
   * @param y [tokens][yStride], from column yAt on
   * @param cols inputs, padding not counted
   * @param add 1 to add to y, 0 to store
   */
  public static void finish(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      LongArray w,
      FloatArray p,
      IntArray q,
      FloatArray s,
      IntArray sums,
      FloatArray y,
      int wAt,
      int cols,
      int tiles,
      int shares,
      int stride,
      int yAt,
      int yStride,
      int biasAt,
      int add) {
    int output = c.globalIdx;
    int token = c.groupIdy * FINISHED;
    int n = step.get(StepLayout.N);
    int words = (cols + COLUMNS - 1) / COLUMNS * WORDS;
    int rows = (tiles + 1) / 2 * 2 * ROWS;
    if (output < tiles * ROWS) {
      int lane = output & 15;
      int trailer =
          2 * (wAt + (output >> 4) * (words * LANES + TRAILER) + words * LANES); // in ints
      int weights = Arithmetic.intAt(w, trailer + SUMS + lane);
      int bits = Arithmetic.intAt(w, trailer + (lane >> 1)) >> (16 * (lane & 1));
      float rowScale = Arithmetic.fp16(bits & 65535, powers);
      for (int i = 0; i < FINISHED; i++) {
        int own = token + i;
        if (own < n) {
          int total = 0;
          for (int share = 0; share < shares; share++) {
            total += sums.get((share * rows + output) * stride + own);
          }
          total =
              W4Kernels.completed(total, q.get(own * (2 * words + 1) + 2 * words), weights, cols);
          float product = Arithmetic.product(rowScale * s.get(own), (float) total, powers);
          float result = biasAt < 0 ? product : p.get(biasAt + output) + product;
          int to = own * yStride + yAt + output;
          y.set(to, add == 0 ? result : y.get(to) + result);
        }
      }
    }
  }
}

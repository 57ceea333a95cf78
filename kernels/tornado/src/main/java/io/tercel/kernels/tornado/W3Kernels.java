package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.GroupedInts;
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

  private static final int MOST_SLICES = 32;

  /** Longs of a block. */
  private static final int BLOCK = W3Block.BLOCK_BYTES / Long.BYTES;

  private static final int SCALES = W3Block.SCALES_OFFSET / Long.BYTES;
  private static final int ZEROS = W3Block.ZEROS_OFFSET / Long.BYTES;
  private static final int ROWS = W3Block.ROWS;

  /** Groups whose inputs and sums fit in a work group's memory at a time. */
  private static final int MANY = 80;

  /** The same of {@link #four}. */
  private static final int FEW = 16;

  /** A code of each byte. */
  private static final int CODES = 0x07070707;

  /** The code above that, eight times too large. */
  private static final int EIGHTFOLD = 0x38383838;

  /** Columns of rows that {@link #one} can norm and round: of 20 groups. */
  static final int NORMED = 2560;

  private W3Kernels() {}

  /** Slices of a work group for so many groups: few rounds, of which none is nearly empty. */
  static int slices(int groups, int most) {
    int rounds = Math.ceilDiv(groups, most);
    return Math.ceilDiv(Math.ceilDiv(groups, rounds), 4) * 4; // whole warps
  }

  /** Slices of a work group of {@link #one}. */
  static int slicesOfOne(int groups) {
    return slices(groups, MOST_SLICES);
  }

  /** Slices of a work group of {@link #four}: enough for its items to finish 64 chains. */
  static int slicesOfFour(int groups) {
    return Math.max(TOKENS * ROWS / LANES, slices(groups, FEW));
  }

  /**
   * One token a work group.
   *
   * @param w packed blocks from long {@code wAt} on
   * @param p biases of whole tiles from {@code biasAt} on; below 0 there are none
   * @param q [tokens] codes, then sums of codes: {@link GroupedIntKernels#word}
   * @param s [tokens][groups] scales
   * @param y [tokens][yStride], from column yAt on
   * @param add 1 to add to y, 0 to store
   * @param slices of a work group
   * @param in [tokens][inStride]: where {@code normAt} is not below 0, rows of {@code cols} floats,
   *     at most {@link #NORMED}, which are normed and rounded here, by each work group again while
   *     its weights come; q and s are not read then
   * @param normAt the norm's weights in p, or -1
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
      int groups,
      int yAt,
      int yStride,
      int biasAt,
      int add,
      int slices,
      FloatArray in,
      int cols,
      int inStride,
      int normAt,
      float eps) {
    int l = c.localIdx;
    int tile = c.groupIdx;
    int token = c.groupIdy;
    int r = l & 7;
    int slice = l >> 3;
    int n = step.get(StepLayout.N);
    int row = token * groups * GroupedIntKernels.GROUP_INTS;
    int sumsAt = row + groups * GroupedIntKernels.CODE_INTS;
    int first = wAt + tile * groups * BLOCK;
    int[] x = c.allocateIntLocalArray(5120);
    float[] values = c.allocateFloatLocalArray(1280);
    float[] scales = c.allocateFloatLocalArray(1280);
    float[] floats = c.allocateFloatLocalArray(2560);
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] sizes = c.allocateFloatLocalArray(256);
    float[] flaws = c.allocateFloatLocalArray(256);
    int[] counts = c.allocateIntLocalArray(256);
    int[] totals = c.allocateIntLocalArray(32);
    float[] inputScales = c.allocateFloatLocalArray(32);
    float acc = 0f;
    for (int base = 0; base < groups; base += MANY) {
      int many = Math.min(MANY, groups - base);
      // weights first: they are under way while the inputs come
      int at = first + (base + Math.min(slice, many - 1)) * BLOCK + r;
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
      long zeros = w.get(first + (base + Math.min(slice, many - 1)) * BLOCK + ZEROS + (r >> 2));
      long pair = w.get(first + (base + Math.min(slice, many - 1)) * BLOCK + SCALES + (r >> 1));
      if (normAt < 0) {
        for (int i = l; i < many * GroupedIntKernels.CODE_INTS; i += slices * LANES) {
          x[i] = q.get(row + base * GroupedIntKernels.CODE_INTS + i);
        }
      }
      if (normAt >= 0) {
        for (int k = l; k < cols; k += slices * LANES) {
          floats[k] = in.get(token * inStride + k);
        }
        c.localBarrier();
        for (int lane = l; lane < 16; lane += slices * LANES) {
          float squares = 0f;
          for (int k = lane; k < cols; k += 16) {
            squares = floats[k] * floats[k] + squares;
          }
          lanes[lane] = squares;
        }
        c.localBarrier();
        float squares =
            Arithmetic.tree(
                lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5], lanes[6], lanes[7],
                lanes[8], lanes[9], lanes[10], lanes[11], lanes[12], lanes[13], lanes[14],
                lanes[15]);
        float scale = Arithmetic.normScale(squares, cols, eps);
        for (int k = l; k < groups * W3Block.GROUP; k += slices * LANES) {
          int column = Math.min(k, cols - 1);
          float value = floats[column] * scale * p.get(normAt + column);
          floats[k] = k < cols ? value : 0f;
        }
        c.localBarrier();
        for (int round = 0; round < groups; round += slices) {
          // a lane rounds every eighth four columns of its slice's group
          int g = Math.min(round + slice, groups - 1);
          int k = g * W3Block.GROUP + 4 * r;
          float most = 0f;
          float sick = 0f;
          for (int i = 0; i < W3Block.GROUP; i += 4 * LANES) {
            for (int m = 0; m < 4; m++) {
              float value = floats[k + i + m];
              most = Math.max(most, Math.abs(value));
              sick = 0f * value + sick;
            }
          }
          sizes[l] = most;
          flaws[l] = sick;
          c.localBarrier();
          float size = sizes[8 * slice];
          float flaw = flaws[8 * slice];
          for (int i = 1; i < LANES; i++) {
            size = Math.max(size, sizes[8 * slice + i]);
            flaw = flaw + flaws[8 * slice + i];
          }
          boolean zero = size < GroupedIntKernels.LEAST;
          boolean coded = !zero && flaw == 0f;
          float factor = coded ? GroupedInts.MAX_CODE / size : 0f;
          int sum = 0;
          for (int i = 0; i < W3Block.GROUP; i += 4 * LANES) {
            int c0 = coded ? (int) Arithmetic.rint(floats[k + i], factor) : 0;
            int c1 = coded ? (int) Arithmetic.rint(floats[k + i + 1], factor) : 0;
            int c2 = coded ? (int) Arithmetic.rint(floats[k + i + 2], factor) : 0;
            int c3 = coded ? (int) Arithmetic.rint(floats[k + i + 3], factor) : 0;
            sum += (c0 + c1) + (c2 + c3);
            int to = 2 * ((k + i) >> 2);
            x[to] = FourBytes.of(c0, c1, c2, c3);
            x[to + 1] =
                FourBytes.of(
                    FourBytes.high(c0), FourBytes.high(c1), FourBytes.high(c2), FourBytes.high(c3));
          }
          counts[l] = sum;
          c.localBarrier();
          if (r == 0) {
            int total = 0;
            for (int i = 0; i < LANES; i++) {
              total += counts[8 * slice + i];
            }
            totals[g] = total;
            float unit = zero ? 0f : size / GroupedInts.MAX_CODE;
            inputScales[g] = Arithmetic.plus(unit, flaw);
          }
          c.localBarrier();
        }
      }
      c.localBarrier();
      for (int g = slice; g < many; g += slices) {
        int total = normAt < 0 ? q.get(sumsAt + base + g) : totals[g & 31];
        float inputScale = normAt < 0 ? s.get(token * groups + base + g) : inputScales[g & 31];
        int k = g * GroupedIntKernels.CODE_INTS;
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
          int sixA = six(a, b, d);
          int sixB = six(e, f, h);
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
          lowA = even(lowA, a, b, d, sixA, q0, q2, q4, q6);
          highA = even(highA, a, b, d, sixA, h0, h2, h4, h6);
          lowA8 = odd(lowA8, a, b, d, sixA, q1, q3, q5, q7);
          highA8 = odd(highA8, a, b, d, sixA, h1, h3, h5, h7);
          lowB = even(lowB, e, f, h, sixB, q0, q2, q4, q6);
          highB = even(highB, e, f, h, sixB, h0, h2, h4, h6);
          lowB8 = odd(lowB8, e, f, h, sixB, q1, q3, q5, q7);
          highB8 = odd(highB8, e, f, h, sixB, h1, h3, h5, h7);
        }
        // eights have no remainder
        int sumA = (lowA + (lowA8 >> 3)) + ((highA + (highA8 >> 3)) << 8);
        int sumB = (lowB + (lowB8 >> 3)) + ((highB + (highB8 >> 3)) << 8);
        int zero = (int) (zeros >> (16 * (r & 3)));
        int bits = (int) (pair >> (32 * (r & 1)));
        sumA = sumA - (zero & 7) * total;
        sumB = sumB - ((zero >> 8) & 7) * total;
        int to = g * ROWS + 2 * r;
        values[to] = (float) sumA;
        values[to + 1] = (float) sumB;
        scales[to] = Arithmetic.fp16(bits & 65535, powers) * inputScale;
        scales[to + 1] = Arithmetic.fp16((bits >> 16) & 65535, powers) * inputScale;
        if (slices < groups && g + slices < many) {
          at = first + (base + g + slices) * BLOCK + r;
          a0 = w.get(at);
          b0 = w.get(at + 8);
          d0 = w.get(at + 16);
          a1 = w.get(at + 24);
          b1 = w.get(at + 32);
          d1 = w.get(at + 40);
          a2 = w.get(at + 48);
          b2 = w.get(at + 56);
          d2 = w.get(at + 64);
          a3 = w.get(at + 72);
          b3 = w.get(at + 80);
          d3 = w.get(at + 88);
          zeros = w.get(first + (base + g + slices) * BLOCK + ZEROS + (r >> 2));
          pair = w.get(first + (base + g + slices) * BLOCK + SCALES + (r >> 1));
        }
      }
      c.localBarrier();
      if (l < ROWS) {
        for (int i = l; i < many * ROWS; i += ROWS) {
          acc = scales[i] * values[i] + acc;
        }
      }
      c.localBarrier();
    }
    if (l < ROWS && token < n) {
      int output = tile * ROWS + l;
      float result = biasAt < 0 ? acc : acc + p.get(biasAt + output);
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
            int sixA = six(a, b, d);
            int sixB = six(e, f, h);
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
            lowA = even(lowA, a, b, d, sixA, q0, q2, q4, q6);
            highA = even(highA, a, b, d, sixA, h0, h2, h4, h6);
            lowA8 = odd(lowA8, a, b, d, sixA, q1, q3, q5, q7);
            highA8 = odd(highA8, a, b, d, sixA, h1, h3, h5, h7);
            lowB = even(lowB, e, f, h, sixB, q0, q2, q4, q6);
            highB = even(highB, e, f, h, sixB, h0, h2, h4, h6);
            lowB8 = odd(lowB8, e, f, h, sixB, q1, q3, q5, q7);
            highB8 = odd(highB8, e, f, h, sixB, h1, h3, h5, h7);
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

  /** Fields 6 and 7 of a triple: two bits of each byte of its three words. */
  private static int six(int a, int b, int d) {
    return ((a >> 2) & 0x30303030) | ((b >> 4) & 0x0c0c0c0c) | ((d >> 6) & 0x03030303);
  }

  /** Adds the products of a triple's even fields to sum. */
  private static int even(int sum, int a, int b, int d, int six, int q0, int q2, int q4, int q6) {
    int ones = FourBytes.dot(a & CODES, q0, sum);
    ones = FourBytes.dot(b & CODES, q2, ones);
    ones = FourBytes.dot(d & CODES, q4, ones);
    return FourBytes.dot(six & CODES, q6, ones);
  }

  /** Adds the products of a triple's odd fields to sum, eight times too large. */
  private static int odd(int sum, int a, int b, int d, int six, int q1, int q3, int q5, int q7) {
    int eights = FourBytes.dot(a & EIGHTFOLD, q1, sum);
    eights = FourBytes.dot(b & EIGHTFOLD, q3, eights);
    eights = FourBytes.dot(d & EIGHTFOLD, q5, eights);
    return FourBytes.dot(six & EIGHTFOLD, q7, eights);
  }
}

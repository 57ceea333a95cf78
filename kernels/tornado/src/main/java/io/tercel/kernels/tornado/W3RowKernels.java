package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.GroupedInts;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * 3-bit linear layers of a single row, or of rows one by one; see {@link W3Kernels}, whose bits
 * these are. Where few work groups repeat it, a work group makes and rounds the inputs itself,
 * while its weights come: what {@link GroupedIntKernels} would do in a kernel before, to the same
 * bits. {@link OwnInputs} says where.
 */
final class W3RowKernels {
  /** The source of inputs that are rounded already; all others are {@link SourceArithmetic}'s. */
  static final int ROUNDED = -1;

  /** Most columns of a row that is made here: of 24 groups. */
  static final int MOST_COLS = 3072;

  /** Most columns where the row is normed. */
  static final int MOST_NORMED = 2560;

  /** Most splits of attention that are joined here. */
  static final int MOST_SPLITS = 16;

  /** Most heads that are joined here. */
  static final int MOST_HEADS = 64;

  private static final int MOST_SLICES = 32;

  private static final int LANES = W3Kernels.LANES;

  /** Longs of a block. */
  private static final int BLOCK = W3Block.BLOCK_BYTES / Long.BYTES;

  private static final int SCALES = W3Block.SCALES_OFFSET / Long.BYTES;
  private static final int ZEROS = W3Block.ZEROS_OFFSET / Long.BYTES;
  private static final int ROWS = W3Block.ROWS;

  /** Groups whose inputs and sums fit in a work group's memory at a time. */
  private static final int MANY = 80;

  /** Columns that an item reads before it uses the first, so that it waits for memory once. */
  private static final int AHEAD = 8;

  private W3RowKernels() {}

  /** Slices of a work group, for inputs that are rounded already. */
  static int slices(int groups) {
    return W3Kernels.slices(groups, MOST_SLICES);
  }

  /** Slices of a work group that makes its inputs: an item makes {@link #AHEAD} columns at best. */
  static int slicesOfMaking(int groups) {
    int items = Math.ceilDiv(groups * W3Block.GROUP, AHEAD);
    return Math.min(MOST_SLICES, Math.ceilDiv(items, 4 * LANES) * 4); // whole warps
  }

  /**
   * One token a work group.
   *
   * @param w packed blocks from long {@code wAt} on
   * @param p biases of whole tiles from {@code biasAt} on, below 0 there are none; and weights of a
   *     norm
   * @param q [tokens] codes, then sums of codes: {@link GroupedIntKernels#word}; of {@link
   *     #ROUNDED} alone
   * @param s of {@link #ROUNDED} [tokens][groups] scales; else what the inputs are made of, see
   *     {@link Source}
   * @param y [tokens][yStride], from column yAt on
   * @param add 1 to add to y, 0 to store
   * @param slices of a work group
   * @param source what s holds, and {@code xStride}, {@code at}, {@code headDim} and {@code eps}
   *     mean, as in {@link SourceArithmetic#value}
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
      int add,
      int slices,
      int source,
      int xStride,
      int at,
      int headDim,
      float eps) {
    int l = c.localIdx;
    int tile = c.groupIdx;
    int token = c.groupIdy;
    int r = l & 7;
    int slice = l >> 3;
    int items = slices * LANES;
    int groups = (cols + 127) / 128;
    int n = step.get(StepLayout.N);
    int row = token * groups * GroupedIntKernels.GROUP_INTS;
    int sumsAt = row + groups * GroupedIntKernels.CODE_INTS;
    int first = wAt + tile * groups * BLOCK;
    int[] x = c.allocateIntLocalArray(5120);
    float[] values = c.allocateFloatLocalArray(1280);
    float[] scales = c.allocateFloatLocalArray(1280);
    float[] floats = c.allocateFloatLocalArray(3072);
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] sizes = c.allocateFloatLocalArray(256);
    float[] flaws = c.allocateFloatLocalArray(256);
    int[] counts = c.allocateIntLocalArray(256);
    int[] totals = c.allocateIntLocalArray(32);
    float[] inputScales = c.allocateFloatLocalArray(32);
    float[] u = new float[8];
    float[] v = new float[8];
    float acc = 0f;
    for (int base = 0; base < groups; base += MANY) {
      int many = Math.min(MANY, groups - base);
      // weights first: they are under way while the inputs come
      int from = first + (base + Math.min(slice, many - 1)) * BLOCK + r;
      long a0 = w.get(from);
      long b0 = w.get(from + 8);
      long d0 = w.get(from + 16);
      long a1 = w.get(from + 24);
      long b1 = w.get(from + 32);
      long d1 = w.get(from + 40);
      long a2 = w.get(from + 48);
      long b2 = w.get(from + 56);
      long d2 = w.get(from + 64);
      long a3 = w.get(from + 72);
      long b3 = w.get(from + 80);
      long d3 = w.get(from + 88);
      long zeros = w.get(first + (base + Math.min(slice, many - 1)) * BLOCK + ZEROS + (r >> 2));
      long pair = w.get(first + (base + Math.min(slice, many - 1)) * BLOCK + SCALES + (r >> 1));
      if (source == ROUNDED) {
        for (int i = l; i < many * GroupedIntKernels.CODE_INTS; i += items) {
          x[i] = q.get(row + base * GroupedIntKernels.CODE_INTS + i);
        }
      }
      if (source == SourceArithmetic.NORMED) {
        for (int start = l; start < groups * W3Block.GROUP; start += AHEAD * items) {
          for (int j = 0; j < AHEAD; j++) {
            int k = Math.min(start + j * items, cols - 1);
            u[j] = s.get(token * xStride + k);
            v[j] = p.get(at + k);
          }
          for (int j = 0; j < AHEAD; j++) {
            int k = start + j * items;
            if (k < cols) {
              floats[k] = u[j];
              if (k < 1280) {
                values[k] = v[j]; // the norm's weights
              } else {
                scales[k - 1280] = v[j];
              }
            }
          }
        }
        c.localBarrier();
        for (int lane = l; lane < 16; lane += items) {
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
        for (int k = l; k < groups * W3Block.GROUP; k += items) {
          int column = Math.min(k, cols - 1);
          float weight = column < 1280 ? values[column] : scales[Math.max(column - 1280, 0)];
          float value = floats[column] * scale * weight;
          floats[k] = k < cols ? value : 0f;
        }
      }
      if (source == SourceArithmetic.GATED) {
        for (int start = l; start < groups * W3Block.GROUP; start += AHEAD * items) {
          for (int j = 0; j < AHEAD; j++) {
            int k = Math.min(start + j * items, cols - 1);
            u[j] = s.get(token * xStride + k);
            v[j] = s.get(token * xStride + at + k);
          }
          for (int j = 0; j < AHEAD; j++) {
            u[j] = SourceArithmetic.gated(u[j], v[j], powers);
          }
          for (int j = 0; j < AHEAD; j++) {
            int k = start + j * items;
            if (k < groups * W3Block.GROUP) {
              floats[k] = k < cols ? u[j] : 0f;
            }
          }
        }
      }
      if (source == SourceArithmetic.JOINED) {
        int heads = cols / headDim;
        int splits =
            (step.get(StepLayout.positions(at) + token) + Attention.SPLIT) / Attention.SPLIT;
        int part = step.get(StepLayout.firstSlot(at) + token) * heads * (headDim + 2);
        int stride = heads * (headDim + 2);
        for (int i = l; i < heads * MOST_SPLITS; i += items) {
          int split = i & 15;
          if (split < splits) {
            int to = part + split * stride + (i >> 4) * (headDim + 2) + headDim;
            float max = s.get(to);
            float sum = s.get(to + 1);
            floats[i] = max;
            floats[1024 + i] = sum;
          }
        }
        c.localBarrier();
        for (int head = l; head < heads; head += items) {
          // what SourceArithmetic.joined does for each dim anew
          float max = floats[head * MOST_SPLITS];
          float sum = floats[1024 + head * MOST_SPLITS];
          for (int split = 1; split < splits; split++) {
            int i = head * MOST_SPLITS + split;
            float next = floats[i];
            float most = Math.max(max, next);
            float a = Arithmetic.exp(max - most, powers);
            float b = Arithmetic.exp(next - most, powers);
            max = most;
            sum =
                Arithmetic.product(a, sum, powers)
                    + Arithmetic.product(b, floats[1024 + i], powers);
            values[i] = a;
            scales[i] = b;
          }
          sizes[head] = sum;
        }
        c.localBarrier();
        for (int start = l; start < groups * W3Block.GROUP; start += AHEAD * items) {
          for (int j = 0; j < AHEAD; j++) {
            int k = Math.min(start + j * items, cols - 1);
            u[j] = s.get(part + k + k / headDim * 2);
          }
          for (int split = 1; split < splits; split++) {
            for (int j = 0; j < AHEAD; j++) {
              int k = Math.min(start + j * items, cols - 1);
              v[j] = s.get(part + split * stride + k + k / headDim * 2);
            }
            for (int j = 0; j < AHEAD; j++) {
              int k = Math.min(start + j * items, cols - 1);
              int i = k / headDim * MOST_SPLITS + split;
              u[j] =
                  Arithmetic.product(values[i], u[j], powers)
                      + Arithmetic.product(scales[i], v[j], powers);
            }
          }
          for (int j = 0; j < AHEAD; j++) {
            int k = start + j * items;
            if (k < groups * W3Block.GROUP) {
              floats[k] = k < cols ? u[j] / sizes[Math.min(k, cols - 1) / headDim] : 0f;
            }
          }
        }
      }
      if (source != ROUNDED) {
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
        int total = source == ROUNDED ? q.get(sumsAt + base + g) : totals[g & 31];
        float inputScale =
            source == ROUNDED ? s.get(token * groups + base + g) : inputScales[g & 31];
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
          from = first + (base + g + slices) * BLOCK + r;
          a0 = w.get(from);
          b0 = w.get(from + 8);
          d0 = w.get(from + 16);
          a1 = w.get(from + 24);
          b1 = w.get(from + 32);
          d1 = w.get(from + 40);
          a2 = w.get(from + 48);
          b2 = w.get(from + 56);
          d2 = w.get(from + 64);
          a3 = w.get(from + 72);
          b3 = w.get(from + 80);
          d3 = w.get(from + 88);
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
}

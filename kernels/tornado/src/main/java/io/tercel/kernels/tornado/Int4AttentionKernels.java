package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Splits of attention over 4-bit keys and values, zero points factored out; see {@link
 * AttentionKernels}.
 */
final class Int4AttentionKernels {
  private Int4AttentionKernels() {}

  /**
   * int4; see {@link AttentionKernels#single}. The grid is [slots][heads / each].
   *
   * @param each query heads of a work group, which read the same keys and values: 1, or, of at most
   *     128 dims, 2 or 4; their scores are an item's together, outputs of every second an item's
   * @param keyInts ints of K of a head in a block
   * @param valueInts ints of V of a head in a block
   */
  public static void fourBits(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      IntArray kv,
      FloatArray x,
      FloatArray part,
      int rows,
      int slots,
      int heads,
      int kvHeads,
      int headDim,
      int xStride,
      float scale,
      int each,
      int keyInts,
      int valueInts) {
    int l = c.localIdx;
    int head = c.groupIdy * each;
    int used = step.get(StepLayout.SLOTS);
    int groups = step.get(StepLayout.GROUPS);
    int row = step.get(StepLayout.slotRow(rows) + c.groupIdx);
    int count = step.get(StepLayout.slotCount(rows, slots) + c.groupIdx);
    int table = step.get(StepLayout.slotTable(rows, slots) + c.groupIdx);
    int kvHead = head / (heads / kvHeads);
    int chunks = (headDim + 63) / 64;
    int[] bases = c.allocateIntLocalArray(16);
    float[] q = c.allocateFloatLocalArray(1024);
    float[] p = c.allocateFloatLocalArray(1024);
    float[] zeros = c.allocateFloatLocalArray(256);
    float[] lanes = c.allocateFloatLocalArray(64);
    float[] stats = c.allocateFloatLocalArray(16);
    double[] sums = c.allocateDoubleLocalArray(32);
    int[] tile = c.allocateIntLocalArray(4096);
    for (int slot = c.groupIdx; slot < used; slot += groups) {
      if (l < 16 && l * 16 < count) {
        bases[l] = step.get(table + l) * kvHeads * (keyInts + valueInts);
      }
      if (l < headDim) {
        for (int h = 0; h < each; h++) {
          q[256 * h + l] = x.get(row * xStride + (head + h) * headDim + l);
        }
      }
      c.localBarrier();
      // a tile of values is under way before the keys are; so are a token's
      int pairInts = chunks * 16; // two tokens
      int perPass = AttentionKernels.LOCAL / pairInts; // pairs that all items hold at once
      int mine = l / pairInts;
      int inPair = l - mine * pairInts;
      int pairs = (count + 1) / 2;
      int last = Math.max(pairs - 1, 0);
      int valueAt = kvHeads * keyInts + kvHead * valueInts + inPair;
      int u0 = Math.min(mine, last);
      int v0 = kv.get(valueAt + bases[u0 >> 3] + (u0 & 7) * pairInts);
      int u1 = Math.min(mine + 1 * perPass, last);
      int v1 = kv.get(valueAt + bases[u1 >> 3] + (u1 & 7) * pairInts);
      int u2 = Math.min(mine + 2 * perPass, last);
      int v2 = kv.get(valueAt + bases[u2 >> 3] + (u2 & 7) * pairInts);
      int u3 = Math.min(mine + 3 * perPass, last);
      int v3 = kv.get(valueAt + bases[u3 >> 3] + (u3 & 7) * pairInts);
      int u4 = Math.min(mine + 4 * perPass, last);
      int v4 = kv.get(valueAt + bases[u4 >> 3] + (u4 & 7) * pairInts);
      int u5 = Math.min(mine + 5 * perPass, last);
      int v5 = kv.get(valueAt + bases[u5 >> 3] + (u5 & 7) * pairInts);
      int u6 = Math.min(mine + 6 * perPass, last);
      int v6 = kv.get(valueAt + bases[u6 >> 3] + (u6 & 7) * pairInts);
      int u7 = Math.min(mine + 7 * perPass, last);
      int v7 = kv.get(valueAt + bases[u7 >> 3] + (u7 & 7) * pairInts);
      int u8 = Math.min(mine + 8 * perPass, last);
      int v8 = kv.get(valueAt + bases[u8 >> 3] + (u8 & 7) * pairInts);
      int u9 = Math.min(mine + 9 * perPass, last);
      int v9 = kv.get(valueAt + bases[u9 >> 3] + (u9 & 7) * pairInts);
      int u10 = Math.min(mine + 10 * perPass, last);
      int v10 = kv.get(valueAt + bases[u10 >> 3] + (u10 & 7) * pairInts);
      int u11 = Math.min(mine + 11 * perPass, last);
      int v11 = kv.get(valueAt + bases[u11 >> 3] + (u11 & 7) * pairInts);
      int u12 = Math.min(mine + 12 * perPass, last);
      int v12 = kv.get(valueAt + bases[u12 >> 3] + (u12 & 7) * pairInts);
      int u13 = Math.min(mine + 13 * perPass, last);
      int v13 = kv.get(valueAt + bases[u13 >> 3] + (u13 & 7) * pairInts);
      int u14 = Math.min(mine + 14 * perPass, last);
      int v14 = kv.get(valueAt + bases[u14 >> 3] + (u14 & 7) * pairInts);
      int u15 = Math.min(mine + 15 * perPass, last);
      int v15 = kv.get(valueAt + bases[u15 >> 3] + (u15 & 7) * pairInts);
      if (l < 8 * each) {
        double sum = 0;
        for (int d = l & 7; d < headDim; d += 8) {
          sum += q[(l >> 3) * 256 + d];
        }
        sums[l] = sum;
      }
      c.localBarrier();
      if (l < each) {
        int from = 8 * l;
        double lower = (sums[from] + sums[from + 1]) + (sums[from + 2] + sums[from + 3]);
        double upper = (sums[from + 4] + sums[from + 5]) + (sums[from + 6] + sums[from + 7]);
        stats[4 * l + 2] = (float) (lower + upper);
      }
      c.localBarrier();
      int valueMeta = 0; // asked for here, with the keys
      if (l >= count) {
        for (int h = 0; h < each; h++) {
          p[256 * h + l] = 0f; // the other half of the last token's word
        }
      }
      if (l < count) {
        int at = bases[l >> 4] + kvHead * keyInts + (l & 15);
        int words = headDim / 8;
        int meta = kv.get(at + words * 16);
        int values = bases[l >> 4] + kvHeads * keyInts + kvHead * valueInts;
        valueMeta = kv.get(values + 8 * chunks * 16 + (l & 15));
        float even = 0f;
        float odd = 0f;
        float even2 = 0f;
        float odd2 = 0f;
        float even3 = 0f;
        float odd3 = 0f;
        float even4 = 0f;
        float odd4 = 0f;
        // all loads are under way before the first is used
        for (int g = 0; g < words; g += 16) {
          int w0 = kv.get(at + g * 16);
          int w1 = kv.get(at + Math.min(g + 1, words - 1) * 16);
          int w2 = kv.get(at + Math.min(g + 2, words - 1) * 16);
          int w3 = kv.get(at + Math.min(g + 3, words - 1) * 16);
          int w4 = kv.get(at + Math.min(g + 4, words - 1) * 16);
          int w5 = kv.get(at + Math.min(g + 5, words - 1) * 16);
          int w6 = kv.get(at + Math.min(g + 6, words - 1) * 16);
          int w7 = kv.get(at + Math.min(g + 7, words - 1) * 16);
          int w8 = kv.get(at + Math.min(g + 8, words - 1) * 16);
          int w9 = kv.get(at + Math.min(g + 9, words - 1) * 16);
          int w10 = kv.get(at + Math.min(g + 10, words - 1) * 16);
          int w11 = kv.get(at + Math.min(g + 11, words - 1) * 16);
          int w12 = kv.get(at + Math.min(g + 12, words - 1) * 16);
          int w13 = kv.get(at + Math.min(g + 13, words - 1) * 16);
          int w14 = kv.get(at + Math.min(g + 14, words - 1) * 16);
          int w15 = kv.get(at + Math.min(g + 15, words - 1) * 16);
          for (int i = 0; i < 16; i++) {
            int word = select(i, w0, w1, w2, w3, w4, w5, w6, w7);
            word = i < 8 ? word : select(i - 8, w8, w9, w10, w11, w12, w13, w14, w15);
            int d = 8 * (g + i);
            if (g + i < words) {
              float k0 = value(word);
              even = k0 * q[d] + even;
              float k1 = value(word >> 4);
              odd = k1 * q[d + 1] + odd;
              float k2 = value(word >> 8);
              even = k2 * q[d + 2] + even;
              float k3 = value(word >> 12);
              odd = k3 * q[d + 3] + odd;
              float k4 = value(word >> 16);
              even = k4 * q[d + 4] + even;
              float k5 = value(word >> 20);
              odd = k5 * q[d + 5] + odd;
              float k6 = value(word >> 24);
              even = k6 * q[d + 6] + even;
              float k7 = value(word >> 28);
              odd = k7 * q[d + 7] + odd;
              if (each >= 2) {
                even2 = k0 * q[256 + d] + even2;
                odd2 = k1 * q[256 + d + 1] + odd2;
                even2 = k2 * q[256 + d + 2] + even2;
                odd2 = k3 * q[256 + d + 3] + odd2;
                even2 = k4 * q[256 + d + 4] + even2;
                odd2 = k5 * q[256 + d + 5] + odd2;
                even2 = k6 * q[256 + d + 6] + even2;
                odd2 = k7 * q[256 + d + 7] + odd2;
              }
              if (each == 4) {
                even3 = k0 * q[512 + d] + even3;
                odd3 = k1 * q[512 + d + 1] + odd3;
                even3 = k2 * q[512 + d + 2] + even3;
                odd3 = k3 * q[512 + d + 3] + odd3;
                even3 = k4 * q[512 + d + 4] + even3;
                odd3 = k5 * q[512 + d + 5] + odd3;
                even3 = k6 * q[512 + d + 6] + even3;
                odd3 = k7 * q[512 + d + 7] + odd3;
                even4 = k0 * q[768 + d] + even4;
                odd4 = k1 * q[768 + d + 1] + odd4;
                even4 = k2 * q[768 + d + 2] + even4;
                odd4 = k3 * q[768 + d + 3] + odd4;
                even4 = k4 * q[768 + d + 4] + even4;
                odd4 = k5 * q[768 + d + 5] + odd4;
                even4 = k6 * q[768 + d + 6] + even4;
                odd4 = k7 * q[768 + d + 7] + odd4;
              }
            }
          }
        }
        float zero = -(16 + ((meta >> 16) & 15)) * 0.0625f;
        float dot = zero * stats[2] + (even + odd);
        float unit = 16f * Arithmetic.fp16(meta & 65535, powers);
        p[l] = unit * dot * scale;
        if (each >= 2) {
          float dot2 = zero * stats[6] + (even2 + odd2);
          p[256 + l] = unit * dot2 * scale;
        }
        if (each == 4) {
          float dot3 = zero * stats[10] + (even3 + odd3);
          p[512 + l] = unit * dot3 * scale;
          float dot4 = zero * stats[14] + (even4 + odd4);
          p[768 + l] = unit * dot4 * scale;
        }
      }
      c.localBarrier();
      int of = l >> 4; // which of the heads, where items are 16 partial results of each
      if (l < 16 * each) {
        float max = AttentionKernels.LEAST;
        for (int t = l & 15; t < count; t += 16) {
          max = Math.max(max, p[of * 256 + t]);
        }
        lanes[l] = max;
      }
      c.localBarrier();
      if (l < each) {
        float max = AttentionKernels.LEAST;
        for (int t = 0; t < 16; t++) {
          max = Math.max(max, lanes[16 * l + t]);
        }
        stats[4 * l] = max;
      }
      c.localBarrier();
      if (l < count) {
        for (int h = 0; h < each; h++) {
          p[256 * h + l] = Arithmetic.exp(p[256 * h + l] - stats[4 * h], powers);
        }
      }
      c.localBarrier();
      if (l < 16 * each) {
        float sum = 0f;
        for (int t = l & 15; t < count; t += 16) {
          sum += p[of * 256 + t];
        }
        lanes[l] = sum;
      }
      c.localBarrier();
      if (l < each) {
        int from = 16 * l;
        stats[4 * l + 1] =
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
      }
      if (l < count) {
        float unit = 16f * Arithmetic.fp16(valueMeta & 65535, powers);
        for (int h = 0; h < each; h++) {
          p[256 * h + l] = p[256 * h + l] * unit;
        }
        zeros[l] = (16 + ((valueMeta >> 16) & 15)) * 0.0625f;
      }
      c.localBarrier();
      if (l < 16 * each) {
        float acc = 0f;
        for (int t = l & 15; t < count; t += 16) {
          acc = zeros[t] * p[of * 256 + t] + acc;
        }
        lanes[l] = acc;
      }
      c.localBarrier();
      if (l < each) {
        int from = 16 * l;
        stats[4 * l + 3] =
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
      }
      c.localBarrier();
      // where items are dims: those of the first and third head, then those of the others
      int own = each >= 2 ? l >> 7 : 0;
      int dim = each >= 2 ? l & 127 : l;
      int place = ((dim & 255) >> 6) * 16 + (dim & 15);
      int nibble = 4 * ((dim & 63) >> 4);
      float o = 0f;
      float o2 = 0f;
      for (int first = 0; first < pairs; first += 16 * perPass) {
        if (mine < perPass) {
          int to = l;
          tile[to] = v0;
          tile[to + 1 * perPass * pairInts] = v1;
          tile[to + 2 * perPass * pairInts] = v2;
          tile[to + 3 * perPass * pairInts] = v3;
          tile[to + 4 * perPass * pairInts] = v4;
          tile[to + 5 * perPass * pairInts] = v5;
          tile[to + 6 * perPass * pairInts] = v6;
          tile[to + 7 * perPass * pairInts] = v7;
          tile[to + 8 * perPass * pairInts] = v8;
          tile[to + 9 * perPass * pairInts] = v9;
          tile[to + 10 * perPass * pairInts] = v10;
          tile[to + 11 * perPass * pairInts] = v11;
          tile[to + 12 * perPass * pairInts] = v12;
          tile[to + 13 * perPass * pairInts] = v13;
          tile[to + 14 * perPass * pairInts] = v14;
          tile[to + 15 * perPass * pairInts] = v15;
        }
        c.localBarrier();
        if (dim < headDim) {
          int end = Math.min(16 * perPass, pairs - first);
          for (int u = 0; u < end; u++) {
            int word = tile[u * pairInts + place] >> nibble;
            int t = own * 256 + 2 * (first + u);
            float value0 = value(word);
            float value1 = value(word >> 16);
            o = value0 * p[t] + o;
            o = value1 * p[t + 1] + o;
            if (each == 4) {
              o2 = value0 * p[512 + t] + o2;
              o2 = value1 * p[512 + t + 1] + o2;
            }
          }
        }
        c.localBarrier();
        if (16 * perPass * 2 < AttentionKernels.LOCAL) { // wide heads take several tiles
          u0 = Math.min(first + mine + 16 * perPass, last);
          v0 = kv.get(valueAt + bases[u0 >> 3] + (u0 & 7) * pairInts);
          u1 = Math.min(first + mine + 17 * perPass, last);
          v1 = kv.get(valueAt + bases[u1 >> 3] + (u1 & 7) * pairInts);
          u2 = Math.min(first + mine + 18 * perPass, last);
          v2 = kv.get(valueAt + bases[u2 >> 3] + (u2 & 7) * pairInts);
          u3 = Math.min(first + mine + 19 * perPass, last);
          v3 = kv.get(valueAt + bases[u3 >> 3] + (u3 & 7) * pairInts);
          u4 = Math.min(first + mine + 20 * perPass, last);
          v4 = kv.get(valueAt + bases[u4 >> 3] + (u4 & 7) * pairInts);
          u5 = Math.min(first + mine + 21 * perPass, last);
          v5 = kv.get(valueAt + bases[u5 >> 3] + (u5 & 7) * pairInts);
          u6 = Math.min(first + mine + 22 * perPass, last);
          v6 = kv.get(valueAt + bases[u6 >> 3] + (u6 & 7) * pairInts);
          u7 = Math.min(first + mine + 23 * perPass, last);
          v7 = kv.get(valueAt + bases[u7 >> 3] + (u7 & 7) * pairInts);
          u8 = Math.min(first + mine + 24 * perPass, last);
          v8 = kv.get(valueAt + bases[u8 >> 3] + (u8 & 7) * pairInts);
          u9 = Math.min(first + mine + 25 * perPass, last);
          v9 = kv.get(valueAt + bases[u9 >> 3] + (u9 & 7) * pairInts);
          u10 = Math.min(first + mine + 26 * perPass, last);
          v10 = kv.get(valueAt + bases[u10 >> 3] + (u10 & 7) * pairInts);
          u11 = Math.min(first + mine + 27 * perPass, last);
          v11 = kv.get(valueAt + bases[u11 >> 3] + (u11 & 7) * pairInts);
          u12 = Math.min(first + mine + 28 * perPass, last);
          v12 = kv.get(valueAt + bases[u12 >> 3] + (u12 & 7) * pairInts);
          u13 = Math.min(first + mine + 29 * perPass, last);
          v13 = kv.get(valueAt + bases[u13 >> 3] + (u13 & 7) * pairInts);
          u14 = Math.min(first + mine + 30 * perPass, last);
          v14 = kv.get(valueAt + bases[u14 >> 3] + (u14 & 7) * pairInts);
          u15 = Math.min(first + mine + 31 * perPass, last);
          v15 = kv.get(valueAt + bases[u15 >> 3] + (u15 & 7) * pairInts);
        }
      }
      if (dim < headDim) {
        int to = (slot * heads + head + own) * (headDim + 2);
        part.set(to + dim, o - stats[4 * own + 3]);
        if (each == 4) {
          part.set(to + 2 * (headDim + 2) + dim, o2 - stats[4 * own + 11]);
        }
      }
      if (l < each) {
        int to = (slot * heads + head + l) * (headDim + 2) + headDim;
        part.set(to, stats[4 * l]);
        part.set(to + 1, stats[4 * l + 1]);
      }
      int next = Math.min(slot + groups, slots - 1);
      row = step.get(StepLayout.slotRow(rows) + next);
      count = step.get(StepLayout.slotCount(rows, slots) + next);
      table = step.get(StepLayout.slotTable(rows, slots) + next);
      c.localBarrier(); // what the next slot writes has been read
    }
  }

  /** The i-th of eight, where i is a constant. */
  private static int select(int i, int a, int b, int d, int e, int f, int g, int h, int j) {
    int low = i == 0 ? a : i == 1 ? b : i == 2 ? d : e;
    int high = i == 4 ? f : i == 5 ? g : i == 6 ? h : j;
    return i < 4 ? low : high;
  }

  /** 1 + code / 16 of the lowest four bits, exactly. */
  private static float value(int bits) {
    return (16 + (bits & 15)) * 0.0625f;
  }
}

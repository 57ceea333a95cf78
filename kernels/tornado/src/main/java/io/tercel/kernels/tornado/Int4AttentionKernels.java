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
   * int4; see {@link AttentionKernels#single}.
   *
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
      int keyInts,
      int valueInts) {
    int l = c.localIdx;
    int head = c.groupIdy;
    int used = step.get(StepLayout.SLOTS);
    int groups = step.get(StepLayout.GROUPS);
    int row = step.get(StepLayout.slotRow(rows) + c.groupIdx);
    int count = step.get(StepLayout.slotCount(rows, slots) + c.groupIdx);
    int table = step.get(StepLayout.slotTable(rows, slots) + c.groupIdx);
    int kvHead = head / (heads / kvHeads);
    int chunks = (headDim + 63) / 64;
    int[] bases = c.allocateIntLocalArray(16);
    float[] q = c.allocateFloatLocalArray(256);
    float[] p = c.allocateFloatLocalArray(256);
    float[] zeros = c.allocateFloatLocalArray(256);
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] stats = c.allocateFloatLocalArray(4);
    double[] sums = c.allocateDoubleLocalArray(8);
    int[] tile = c.allocateIntLocalArray(4096);
    for (int slot = c.groupIdx; slot < used; slot += groups) {
      if (l < 16 && l * 16 < count) {
        bases[l] = step.get(table + l) * kvHeads * (keyInts + valueInts);
      }
      if (l < headDim) {
        q[l] = x.get(row * xStride + head * headDim + l);
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
      if (l < 8) {
        double sum = 0;
        for (int d = l; d < headDim; d += 8) {
          sum += q[d];
        }
        sums[l] = sum;
      }
      c.localBarrier();
      if (l == 0) {
        double lower = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        double upper = (sums[4] + sums[5]) + (sums[6] + sums[7]);
        stats[2] = (float) (lower + upper);
      }
      c.localBarrier();
      int valueMeta = 0; // asked for here, with the keys
      if (l >= count) {
        p[l] = 0f; // the other half of the last token's word
      }
      if (l < count) {
        int at = bases[l >> 4] + kvHead * keyInts + (l & 15);
        int words = headDim / 8;
        int meta = kv.get(at + words * 16);
        int values = bases[l >> 4] + kvHeads * keyInts + kvHead * valueInts;
        valueMeta = kv.get(values + 8 * chunks * 16 + (l & 15));
        float even = 0f;
        float odd = 0f;
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
              even = value(word) * q[d] + even;
              odd = value(word >> 4) * q[d + 1] + odd;
              even = value(word >> 8) * q[d + 2] + even;
              odd = value(word >> 12) * q[d + 3] + odd;
              even = value(word >> 16) * q[d + 4] + even;
              odd = value(word >> 20) * q[d + 5] + odd;
              even = value(word >> 24) * q[d + 6] + even;
              odd = value(word >> 28) * q[d + 7] + odd;
            }
          }
        }
        float zero = -(16 + ((meta >> 16) & 15)) * 0.0625f;
        float dot = zero * stats[2] + (even + odd);
        p[l] = 16f * Arithmetic.fp16(meta & 65535, powers) * dot * scale;
      }
      c.localBarrier();
      if (l < 16) {
        float max = AttentionKernels.LEAST;
        for (int t = l; t < count; t += 16) {
          max = Math.max(max, p[t]);
        }
        lanes[l] = max;
      }
      c.localBarrier();
      if (l == 0) {
        float max = AttentionKernels.LEAST;
        for (int t = 0; t < 16; t++) {
          max = Math.max(max, lanes[t]);
        }
        stats[0] = max;
      }
      c.localBarrier();
      if (l < count) {
        p[l] = Arithmetic.exp(p[l] - stats[0], powers);
      }
      c.localBarrier();
      if (l < 16) {
        float sum = 0f;
        for (int t = l; t < count; t += 16) {
          sum += p[t];
        }
        lanes[l] = sum;
      }
      c.localBarrier();
      if (l == 0) {
        stats[1] =
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
      }
      if (l < count) {
        p[l] = p[l] * (16f * Arithmetic.fp16(valueMeta & 65535, powers));
        zeros[l] = (16 + ((valueMeta >> 16) & 15)) * 0.0625f;
      }
      c.localBarrier();
      if (l < 16) {
        float acc = 0f;
        for (int t = l; t < count; t += 16) {
          acc = zeros[t] * p[t] + acc;
        }
        lanes[l] = acc;
      }
      c.localBarrier();
      if (l == 0) {
        stats[3] =
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
      }
      c.localBarrier();
      int place = ((l & 255) >> 6) * 16 + (l & 15);
      int nibble = 4 * ((l & 63) >> 4);
      float o = 0f;
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
        if (l < headDim) {
          int end = Math.min(16 * perPass, pairs - first);
          for (int u = 0; u < end; u++) {
            int word = tile[u * pairInts + place] >> nibble;
            o = value(word) * p[2 * (first + u)] + o;
            o = value(word >> 16) * p[2 * (first + u) + 1] + o;
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
      if (l < headDim) {
        o = o - stats[3];
        AttentionKernels.store(part, count > 0, (slot * heads + head) * (headDim + 2), l, o);
        if (l == 0 && count > 0) {
          int to = (slot * heads + head) * (headDim + 2) + headDim;
          part.set(to, stats[0]);
          part.set(to + 1, stats[1]);
        }
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

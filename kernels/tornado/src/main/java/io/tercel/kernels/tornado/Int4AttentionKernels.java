package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Splits of attention over 4-bit keys and values, zero points factored out; see {@link
 * AttentionKernels}.
 */
final class Int4AttentionKernels {
  /** Ints of values that a work group holds at a time: 256 tokens of 128 dims. */
  private static final int TILE = 4096;

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
    int used = step.get(StepLayout.SLOTS);
    int slot = Math.max(Math.min(c.groupIdx, used - 1), 0);
    int head = c.groupIdy;
    int row = step.get(StepLayout.slotRow(rows) + slot);
    int split = step.get(StepLayout.slotSplit(rows, slots) + slot);
    int left = step.get(StepLayout.positions(rows) + row) + 1 - split * AttentionKernels.LOCAL;
    int count =
        c.groupIdx < used
            ? Math.min(AttentionKernels.LOCAL, left)
            : 0; // no work where there is no slot
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
    if (l < 16 && l * 16 < count) {
      int table = step.get(StepLayout.tableAt(rows) + row);
      bases[l] = step.get(table + split * 16 + l) * kvHeads * (keyInts + valueInts);
    }
    if (l < headDim) {
      q[l] = x.get(row * xStride + head * headDim + l);
    }
    c.localBarrier();
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
    if (l >= count) {
      p[l] = 0f; // the other half of the last token's word
    }
    if (l < count) {
      int at = bases[l >> 4] + kvHead * keyInts + (l & 15);
      float even = 0f;
      float odd = 0f;
      for (int g = 0; g < headDim / 8; g++) {
        int word = kv.get(at + g * 16);
        int d = 8 * g;
        even = value(word) * q[d] + even;
        odd = value(word >> 4) * q[d + 1] + odd;
        even = value(word >> 8) * q[d + 2] + even;
        odd = value(word >> 12) * q[d + 3] + odd;
        even = value(word >> 16) * q[d + 4] + even;
        odd = value(word >> 20) * q[d + 5] + odd;
        even = value(word >> 24) * q[d + 6] + even;
        odd = value(word >> 28) * q[d + 7] + odd;
      }
      int meta = kv.get(at + headDim / 8 * 16);
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
      int at = bases[l >> 4] + kvHeads * keyInts + kvHead * valueInts;
      int meta = kv.get(at + 8 * chunks * 16 + (l & 15));
      p[l] = p[l] * (16f * Arithmetic.fp16(meta & 65535, powers));
      zeros[l] = (16 + ((meta >> 16) & 15)) * 0.0625f;
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
    int pairInts = chunks * 16; // two tokens
    int pairs = (count + 1) / 2;
    int valueAt = kvHeads * keyInts + kvHead * valueInts;
    int place = ((l & 255) >> 6) * 16 + (l & 15);
    int nibble = 4 * ((l & 63) >> 4);
    float o = 0f;
    int many = TILE / pairInts;
    for (int first = 0; first < pairs; first += many) {
      // eight loads are under way before the first is stored
      for (int i = l; i < TILE; i += 8 * AttentionKernels.LOCAL) {
        int v0 =
            kv.get(
                valueAt + word(i, first, pairs, pairInts, bases[block(i, first, pairs, pairInts)]));
        int v1 =
            kv.get(
                valueAt
                    + word(
                        i + 256,
                        first,
                        pairs,
                        pairInts,
                        bases[block(i + 256, first, pairs, pairInts)]));
        int v2 =
            kv.get(
                valueAt
                    + word(
                        i + 512,
                        first,
                        pairs,
                        pairInts,
                        bases[block(i + 512, first, pairs, pairInts)]));
        int v3 =
            kv.get(
                valueAt
                    + word(
                        i + 768,
                        first,
                        pairs,
                        pairInts,
                        bases[block(i + 768, first, pairs, pairInts)]));
        int v4 =
            kv.get(
                valueAt
                    + word(
                        i + 1024,
                        first,
                        pairs,
                        pairInts,
                        bases[block(i + 1024, first, pairs, pairInts)]));
        int v5 =
            kv.get(
                valueAt
                    + word(
                        i + 1280,
                        first,
                        pairs,
                        pairInts,
                        bases[block(i + 1280, first, pairs, pairInts)]));
        int v6 =
            kv.get(
                valueAt
                    + word(
                        i + 1536,
                        first,
                        pairs,
                        pairInts,
                        bases[block(i + 1536, first, pairs, pairInts)]));
        int v7 =
            kv.get(
                valueAt
                    + word(
                        i + 1792,
                        first,
                        pairs,
                        pairInts,
                        bases[block(i + 1792, first, pairs, pairInts)]));
        tile[i] = v0;
        tile[i + 256] = v1;
        tile[i + 512] = v2;
        tile[i + 768] = v3;
        tile[i + 1024] = v4;
        tile[i + 1280] = v5;
        tile[i + 1536] = v6;
        tile[i + 1792] = v7;
      }
      c.localBarrier();
      if (l < headDim) {
        int end = Math.min(many, pairs - first);
        for (int u = 0; u < end; u++) {
          int word = tile[u * pairInts + place] >> nibble;
          o = value(word) * p[2 * (first + u)] + o;
          o = value(word >> 16) * p[2 * (first + u) + 1] + o;
        }
      }
      c.localBarrier();
    }
    if (l < headDim) {
      o = o - stats[3];
      AttentionKernels.store(part, c.groupIdx < used, (slot * heads + head) * (headDim + 2), l, o);
      if (l == 0 && c.groupIdx < used) {
        int to = (slot * heads + head) * (headDim + 2) + headDim;
        part.set(to, stats[0]);
        part.set(to + 1, stats[1]);
      }
    }
  }

  /** The pair of tokens that int i of a tile belongs to; the last one for those beyond. */
  private static int pair(int i, int first, int pairs, int pairInts) {
    return Math.min(first + i / pairInts, Math.max(pairs - 1, 0));
  }

  /** Which block of the split that is. */
  private static int block(int i, int first, int pairs, int pairInts) {
    return pair(i, first, pairs, pairInts) >> 3;
  }

  /** Where it is in the pool. */
  private static int word(int i, int first, int pairs, int pairInts, int base) {
    int inBlock = pair(i, first, pairs, pairInts) & 7;
    return base + inBlock * pairInts + i - i / pairInts * pairInts;
  }

  /** 1 + code / 16 of the lowest four bits, exactly. */
  private static float value(int bits) {
    return (16 + (bits & 15)) * 0.0625f;
  }
}

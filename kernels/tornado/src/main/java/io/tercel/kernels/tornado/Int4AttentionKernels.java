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
    if (l < headDim) {
      int place = (l >> 6) * 16 + (l & 15);
      int nibble = 4 * ((l & 63) >> 4);
      float o = 0f;
      for (int t = 0; t < count; t++) {
        int at = bases[t >> 4] + kvHeads * keyInts + kvHead * valueInts;
        int word = kv.get(at + ((t & 15) >> 1) * chunks * 16 + place);
        o = value(word >> (16 * (t & 1) + nibble)) * p[t] + o;
      }
      o = o - stats[3];
      AttentionKernels.store(part, c.groupIdx < used, (slot * heads + head) * (headDim + 2), l, o);
      if (l == 0 && c.groupIdx < used) {
        int to = (slot * heads + head) * (headDim + 2) + headDim;
        part.set(to, stats[0]);
        part.set(to + 1, stats[1]);
      }
    }
  }

  /** 1 + code / 16 of the lowest four bits, exactly. */
  private static float value(int bits) {
    return (16 + (bits & 15)) * 0.0625f;
  }
}

package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Writing of keys and values to the pool of one layer, in the layout that {@code KvLayout} states.
 * The grid is [2 kvHeads][tokens], a work group each: keys, then values.
 *
 * <p>Where two tokens share a word, each replaces its half by an atomic addition of the difference:
 * whoever comes first, the other half is never touched.
 */
final class KvKernels {
  /** Work items of a group. */
  static final int LOCAL = 64;

  private KvKernels() {}

  /**
   * fp32.
   *
   * @param x [tokens][xStride]: k from kAt, v from vAt
   */
  public static void single(
      KernelContext c,
      IntArray step,
      FloatArray kv,
      FloatArray x,
      int rows,
      int slots,
      int kvHeads,
      int headDim,
      int xStride,
      int kAt,
      int vAt) {
    int token = c.groupIdy;
    if (token < step.get(StepLayout.N)) {
      int position = step.get(StepLayout.positions(rows) + token);
      int table = StepLayout.tables(rows, slots) + step.get(StepLayout.tableAt(rows) + token);
      int slot = position & 15;
      int group = c.groupIdx;
      int head = group < kvHeads ? group : group - kvHeads;
      int from = token * xStride + (group < kvHeads ? kAt : vAt) + head * headDim;
      int at = (step.get(table + (position >> 4)) * 2 * kvHeads + group) * 16 * headDim;
      int l = c.localIdx;
      for (int d = l; d < headDim; d += LOCAL) {
        int element = group < kvHeads ? d * 16 + slot : slot * headDim + d;
        // never kept, but an array that is only written counts as one that need not be there before
        float before = kv.get(at + element);
        float value = x.get(from + d);
        kv.set(at + element, position < 0 ? before : value + 0f * value); // NaN for an infinity
      }
    }
  }

  /** fp16, two elements a word. */
  public static void sixteen(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      IntArray kv,
      FloatArray x,
      int rows,
      int slots,
      int kvHeads,
      int headDim,
      int xStride,
      int kAt,
      int vAt) {
    int token = c.groupIdy;
    if (token < step.get(StepLayout.N)) {
      int position = step.get(StepLayout.positions(rows) + token);
      int table = StepLayout.tables(rows, slots) + step.get(StepLayout.tableAt(rows) + token);
      int slot = position & 15;
      int group = c.groupIdx;
      int head = group < kvHeads ? group : group - kvHeads;
      int from = token * xStride + (group < kvHeads ? kAt : vAt) + head * headDim;
      int at = (step.get(table + (position >> 4)) * 2 * kvHeads + group) * 8 * headDim;
      int l = c.localIdx;
      if (group < kvHeads) {
        for (int d = l; d < headDim; d += LOCAL) {
          replaceHalf(
              c, kv, at + d * 8 + (slot >> 1), slot & 1, Arithmetic.half(x.get(from + d), powers));
        }
      } else {
        for (int d = l; d < headDim / 2; d += LOCAL) {
          int low = Arithmetic.half(x.get(from + 2 * d), powers);
          int high = Arithmetic.half(x.get(from + 2 * d + 1), powers);
          kv.set(at + slot * (headDim / 2) + d, (high << 16) | low);
        }
      }
    }
  }

  /**
   * int4: a scale and a zero point, then codes.
   *
   * @param p holds the clips of {@code KvTransform}, two of keys and two of values, from {@code
   *     clipAt} on; below 0 there are none
   * @param keyInts ints of K of a head in a block
   * @param valueInts ints of V of a head in a block
   */
  public static void fourBits(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      IntArray kv,
      FloatArray p,
      FloatArray x,
      int rows,
      int slots,
      int kvHeads,
      int headDim,
      int xStride,
      int kAt,
      int vAt,
      int clipAt,
      int keyInts,
      int valueInts) {
    int l = c.localIdx;
    int group = c.groupIdx;
    int n = step.get(StepLayout.N);
    int token = Math.max(Math.min(c.groupIdy, n - 1), 0);
    int head = group < kvHeads ? group : group - kvHeads;
    int from = token * xStride + (group < kvHeads ? kAt : vAt) + head * headDim;
    float[] least = c.allocateFloatLocalArray(64);
    float[] most = c.allocateFloatLocalArray(64);
    float[] flaws = c.allocateFloatLocalArray(64);
    float[] scales = c.allocateFloatLocalArray(1);
    int[] zeros = c.allocateIntLocalArray(2);
    float min = 0f;
    float max = 0f;
    float flaw = 0f; // NaN as soon as one is no finite number
    for (int d = l; d < headDim; d += LOCAL) {
      float value = x.get(from + d);
      flaw = 0f * value + flaw;
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    least[l] = min;
    most[l] = max;
    flaws[l] = flaw;
    c.localBarrier();
    if (l == 0) {
      for (int i = 1; i < LOCAL; i++) {
        min = Math.min(min, least[i]);
        max = Math.max(max, most[i]);
        flaw = flaw + flaws[i];
      }
      if (clipAt >= 0) {
        int clip = group < kvHeads ? clipAt : clipAt + 2;
        min = min * p.get(clip);
        max = max * p.get(clip + 1);
      }
      float range = (max * 0.5f - min * 0.5f) / 7.5f;
      int bits = Arithmetic.half(Math.min(range, 65504f), powers);
      float scale = Arithmetic.fp16(bits, powers);
      boolean sound = flaw == 0f;
      int zero = scale == 0f ? 0 : Arithmetic.fourBits(-min / scale, 0);
      // codes by a scale of 0 are 0
      scales[0] = sound ? scale : 0f;
      zeros[0] = sound ? zero : 0;
      zeros[1] = sound ? (zero << 16) | bits : Arithmetic.NAN;
    }
    c.localBarrier();
    if (c.groupIdy < n) {
      float scale = scales[0];
      int zero = zeros[0];
      int position = step.get(StepLayout.positions(rows) + token);
      int table = StepLayout.tables(rows, slots) + step.get(StepLayout.tableAt(rows) + token);
      int slot = position & 15;
      int block = step.get(table + (position >> 4)) * kvHeads * (keyInts + valueInts);
      if (group < kvHeads) {
        int at = block + head * keyInts + slot;
        for (int g = l; g < headDim / 8; g += LOCAL) {
          int word = 0;
          for (int j = 0; j < 8; j++) {
            word = word | (codeOf(x.get(from + 8 * g + j), scale, zero) << (4 * j));
          }
          kv.set(at + g * 16, word);
        }
        if (l == 0) {
          kv.set(at + headDim / 8 * 16, zeros[1]);
        }
      } else {
        int at = block + kvHeads * keyInts + head * valueInts;
        int chunks = (headDim + 63) / 64;
        for (int i = l; i < chunks * 16; i += LOCAL) {
          int first = (i >> 4) * 64 + (i & 15);
          int codes = 0;
          for (int j = 0; j < 4; j++) {
            int d = first + 16 * j;
            int inside = Math.min(d, headDim - 1);
            int one = codeOf(x.get(from + inside), scale, zero) << (4 * j);
            codes = d < headDim ? codes | one : codes;
          }
          replaceHalf(c, kv, at + (slot >> 1) * chunks * 16 + i, slot & 1, codes);
        }
        if (l == 0) {
          kv.set(at + 8 * chunks * 16 + slot, zeros[1]);
        }
      }
    }
  }

  /** Makes one half of a word something else. */
  private static void replaceHalf(KernelContext c, IntArray kv, int at, int half, int value) {
    int shift = 16 * half;
    int old = (kv.get(at) >> shift) & 65535;
    c.atomicAdd(kv, at, (value - old) << shift);
  }

  private static int codeOf(float x, float scale, int zero) {
    return scale == 0f ? 0 : Arithmetic.fourBits(x / scale, zero);
  }
}

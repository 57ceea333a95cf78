package io.tercel.kernels.tornado;

import io.tercel.kernels.ops.Attention;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Paged attention in the order of sums that {@link Attention} states. A work group of 256 items
 * takes one split after the other of a row and of heads that share keys and values: first an item
 * is a token, then a dimension. The grid is [groups][heads / each], of groups as the step says;
 * what a split gives, its headDim values, largest score and sum of exponentials, lies in {@code
 * part}. {@link #join} makes a row's output of its splits.
 *
 * <p>Heads are at most 256 wide. {@link #single}, {@link #sixteen} and {@link Int4AttentionKernels}
 * say the same thing three times: a local array that is handed to another method is addressed
 * wrongly.
 */
final class AttentionKernels {
  /** Work items of a group: one for each token of a split. */
  static final int LOCAL = Attention.SPLIT;

  /** Work items of a group of {@link #join}. */
  static final int JOIN_LOCAL = 64;

  static final float LEAST = -3.4e38f;

  private AttentionKernels() {}

  /**
   * fp32.
   *
   * @param x [tokens][xStride]: q from 0
   * @param part [slots][heads][headDim + 2]
   * @param scale 1 / sqrt(headDim)
   * @param each query heads of a work group, which read the same keys and values: 1, or, of at most
   *     128 dims, 2 or 4
   */
  public static void single(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      FloatArray kv,
      FloatArray x,
      FloatArray part,
      int rows,
      int slots,
      int heads,
      int kvHeads,
      int headDim,
      int xStride,
      float scale,
      int each) {
    int l = c.localIdx;
    int head = c.groupIdy * each;
    int used = step.get(StepLayout.SLOTS);
    int groups = step.get(StepLayout.GROUPS);
    int row = step.get(StepLayout.slotRow(rows) + c.groupIdx);
    int count = step.get(StepLayout.slotCount(rows, slots) + c.groupIdx);
    int table = step.get(StepLayout.slotTable(rows, slots) + c.groupIdx);
    int kvHead = head / (heads / kvHeads);
    int[] bases = c.allocateIntLocalArray(16);
    float[] q = c.allocateFloatLocalArray(1024);
    float[] p = c.allocateFloatLocalArray(1024);
    float[] lanes = c.allocateFloatLocalArray(64);
    float[] stats = c.allocateFloatLocalArray(4);
    for (int slot = c.groupIdx; slot < used; slot += groups) {
      if (l < 16 && l * 16 < count) {
        bases[l] = (step.get(table + l) * 2 * kvHeads + kvHead) * 16 * headDim;
      }
      if (l < headDim) {
        for (int h = 0; h < each; h++) {
          q[256 * h + l] = x.get(row * xStride + (head + h) * headDim + l);
        }
      }
      c.localBarrier();
      if (l < count) {
        int at = bases[l >> 4] + (l & 15);
        float even = 0f;
        float odd = 0f;
        float even1 = 0f;
        float odd1 = 0f;
        float even2 = 0f;
        float odd2 = 0f;
        float even3 = 0f;
        float odd3 = 0f;
        for (int d = 0; d < headDim; d += 2) {
          float k0 = kv.get(at + d * 16);
          float k1 = kv.get(at + d * 16 + 16);
          even = k0 * q[d] + even;
          odd = k1 * q[d + 1] + odd;
          if (each >= 2) {
            even1 = k0 * q[256 + d] + even1;
            odd1 = k1 * q[256 + d + 1] + odd1;
          }
          if (each == 4) {
            even2 = k0 * q[512 + d] + even2;
            odd2 = k1 * q[512 + d + 1] + odd2;
            even3 = k0 * q[768 + d] + even3;
            odd3 = k1 * q[768 + d + 1] + odd3;
          }
        }
        p[l] = (even + odd) * scale;
        if (each >= 2) {
          p[256 + l] = (even1 + odd1) * scale;
        }
        if (each == 4) {
          p[512 + l] = (even2 + odd2) * scale;
          p[768 + l] = (even3 + odd3) * scale;
        }
      }
      c.localBarrier();
      int of = l >> 4; // which of the heads, where items are 16 partial results of each
      if (l < 16 * each) {
        float max = LEAST;
        for (int t = l & 15; t < count; t += 16) {
          max = Math.max(max, p[of * 256 + t]);
        }
        lanes[l] = max;
      }
      c.localBarrier();
      if (l < each) {
        float max = LEAST;
        for (int t = 0; t < 16; t++) {
          max = Math.max(max, lanes[16 * l + t]);
        }
        stats[l] = max;
      }
      c.localBarrier();
      if (l < count) {
        for (int h = 0; h < each; h++) {
          p[256 * h + l] = Arithmetic.exp(p[256 * h + l] - stats[h], powers);
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
      // where items are dims: those of the first and third head, then those of the others
      int own = each >= 2 ? l >> 7 : 0;
      int dim = each >= 2 ? l & 127 : l;
      if (dim < headDim) {
        float o = 0f;
        float o2 = 0f;
        for (int t = 0; t < count; t++) {
          int at = bases[t >> 4] + (kvHeads * 16 + (t & 15)) * headDim;
          float value = kv.get(at + dim);
          o = value * p[256 * own + t] + o;
          if (each == 4) {
            o2 = value * p[512 + 256 * own + t] + o2;
          }
        }
        int to = (slot * heads + head + own) * (headDim + 2);
        part.set(to + dim, o);
        if (each == 4) {
          part.set(to + 2 * (headDim + 2) + dim, o2);
        }
      }
      if (l < each) {
        int from = 16 * l;
        int to = (slot * heads + head + l) * (headDim + 2) + headDim;
        part.set(to, stats[l]);
        part.set(
            to + 1,
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
                lanes[from + 15]));
      }
      int next = Math.min(slot + groups, slots - 1);
      row = step.get(StepLayout.slotRow(rows) + next);
      count = step.get(StepLayout.slotCount(rows, slots) + next);
      table = step.get(StepLayout.slotTable(rows, slots) + next);
      c.localBarrier(); // what the next slot writes has been read
    }
  }

  /** fp16; see {@link #single}. */
  public static void sixteen(
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
      int each) {
    int l = c.localIdx;
    int head = c.groupIdy * each;
    int used = step.get(StepLayout.SLOTS);
    int groups = step.get(StepLayout.GROUPS);
    int row = step.get(StepLayout.slotRow(rows) + c.groupIdx);
    int count = step.get(StepLayout.slotCount(rows, slots) + c.groupIdx);
    int table = step.get(StepLayout.slotTable(rows, slots) + c.groupIdx);
    int kvHead = head / (heads / kvHeads);
    int[] bases = c.allocateIntLocalArray(16);
    float[] q = c.allocateFloatLocalArray(1024);
    float[] p = c.allocateFloatLocalArray(1024);
    float[] lanes = c.allocateFloatLocalArray(64);
    float[] stats = c.allocateFloatLocalArray(4);
    for (int slot = c.groupIdx; slot < used; slot += groups) {
      if (l < 16 && l * 16 < count) {
        bases[l] = (step.get(table + l) * 2 * kvHeads + kvHead) * 8 * headDim;
      }
      if (l < headDim) {
        for (int h = 0; h < each; h++) {
          q[256 * h + l] = x.get(row * xStride + (head + h) * headDim + l);
        }
      }
      c.localBarrier();
      if (l < count) {
        int at = bases[l >> 4] + ((l & 15) >> 1);
        int shift = 16 * (l & 1);
        float even = 0f;
        float odd = 0f;
        float even1 = 0f;
        float odd1 = 0f;
        float even2 = 0f;
        float odd2 = 0f;
        float even3 = 0f;
        float odd3 = 0f;
        for (int d = 0; d < headDim; d += 2) {
          float k0 = Arithmetic.fp16(kv.get(at + d * 8) >> shift, powers);
          float k1 = Arithmetic.fp16(kv.get(at + d * 8 + 8) >> shift, powers);
          even = k0 * q[d] + even;
          odd = k1 * q[d + 1] + odd;
          if (each >= 2) {
            even1 = k0 * q[256 + d] + even1;
            odd1 = k1 * q[256 + d + 1] + odd1;
          }
          if (each == 4) {
            even2 = k0 * q[512 + d] + even2;
            odd2 = k1 * q[512 + d + 1] + odd2;
            even3 = k0 * q[768 + d] + even3;
            odd3 = k1 * q[768 + d + 1] + odd3;
          }
        }
        p[l] = (even + odd) * scale;
        if (each >= 2) {
          p[256 + l] = (even1 + odd1) * scale;
        }
        if (each == 4) {
          p[512 + l] = (even2 + odd2) * scale;
          p[768 + l] = (even3 + odd3) * scale;
        }
      }
      c.localBarrier();
      int of = l >> 4; // which of the heads, where items are 16 partial results of each
      if (l < 16 * each) {
        float max = LEAST;
        for (int t = l & 15; t < count; t += 16) {
          max = Math.max(max, p[of * 256 + t]);
        }
        lanes[l] = max;
      }
      c.localBarrier();
      if (l < each) {
        float max = LEAST;
        for (int t = 0; t < 16; t++) {
          max = Math.max(max, lanes[16 * l + t]);
        }
        stats[l] = max;
      }
      c.localBarrier();
      if (l < count) {
        for (int h = 0; h < each; h++) {
          p[256 * h + l] = Arithmetic.exp(p[256 * h + l] - stats[h], powers);
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
      // where items are dims: those of the first and third head, then those of the others
      int own = each >= 2 ? l >> 7 : 0;
      int dim = each >= 2 ? l & 127 : l;
      if (dim < headDim) {
        int shift = 16 * (dim & 1);
        float o = 0f;
        float o2 = 0f;
        for (int t = 0; t < count; t++) {
          int at = bases[t >> 4] + (kvHeads * 16 + (t & 15)) * (headDim / 2);
          float value = Arithmetic.fp16(kv.get(at + (dim >> 1)) >> shift, powers);
          o = value * p[256 * own + t] + o;
          if (each == 4) {
            o2 = value * p[512 + 256 * own + t] + o2;
          }
        }
        int to = (slot * heads + head + own) * (headDim + 2);
        part.set(to + dim, o);
        if (each == 4) {
          part.set(to + 2 * (headDim + 2) + dim, o2);
        }
      }
      if (l < each) {
        int from = 16 * l;
        int to = (slot * heads + head + l) * (headDim + 2) + headDim;
        part.set(to, stats[l]);
        part.set(
            to + 1,
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
                lanes[from + 15]));
      }
      int next = Math.min(slot + groups, slots - 1);
      row = step.get(StepLayout.slotRow(rows) + next);
      count = step.get(StepLayout.slotCount(rows, slots) + next);
      table = step.get(StepLayout.slotTable(rows, slots) + next);
      c.localBarrier(); // what the next slot writes has been read
    }
  }

  /**
   * Joins the splits of each row and head, in order. The grid is [heads][tokens].
   *
   * @param y [tokens][yStride], padded with zeros
   */
  public static void join(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      FloatArray part,
      FloatArray y,
      int rows,
      int heads,
      int headDim,
      int yStride) {
    int token = c.groupIdy;
    if (token < step.get(StepLayout.N)) {
      int l = c.localIdx;
      int head = c.groupIdx;
      int splits = (step.get(StepLayout.positions(rows) + token) + LOCAL) / LOCAL;
      int first = step.get(StepLayout.firstSlot(rows) + token) * heads + head;
      int stride = heads * (headDim + 2);
      int base = first * (headDim + 2);
      for (int d = l; d < headDim; d += JOIN_LOCAL) {
        float value = SourceArithmetic.joined(part, powers, base, stride, splits, headDim, d);
        y.set(token * yStride + head * headDim + d, value);
      }
      for (int k = heads * headDim + l; k < yStride; k += JOIN_LOCAL) {
        y.set(token * yStride + k, 0f);
      }
    }
  }
}

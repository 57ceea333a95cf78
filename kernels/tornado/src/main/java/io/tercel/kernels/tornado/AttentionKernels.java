package io.tercel.kernels.tornado;

import io.tercel.kernels.ops.Attention;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Paged attention in the order of sums that {@link Attention} states. A work group of 256 items
 * takes one split after the other of a row and head: first an item is a token, then a dimension.
 * The grid is [groups][heads], of groups as the step says; what a split gives, its headDim values,
 * largest score and sum of exponentials, lies in {@code part}. {@link #join} makes a row's output
 * of its splits.
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
      float scale) {
    int l = c.localIdx;
    int head = c.groupIdy;
    int used = step.get(StepLayout.SLOTS);
    int groups = step.get(StepLayout.GROUPS);
    int row = step.get(StepLayout.slotRow(rows) + c.groupIdx);
    int count = step.get(StepLayout.slotCount(rows, slots) + c.groupIdx);
    int table = step.get(StepLayout.slotTable(rows, slots) + c.groupIdx);
    int kvHead = head / (heads / kvHeads);
    int[] bases = c.allocateIntLocalArray(16);
    float[] q = c.allocateFloatLocalArray(256);
    float[] p = c.allocateFloatLocalArray(256);
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] stats = c.allocateFloatLocalArray(2);
    for (int slot = c.groupIdx; slot < used; slot += groups) {
      if (l < 16 && l * 16 < count) {
        bases[l] = (step.get(table + l) * 2 * kvHeads + kvHead) * 16 * headDim;
      }
      if (l < headDim) {
        q[l] = x.get(row * xStride + head * headDim + l);
      }
      c.localBarrier();
      if (l < count) {
        int at = bases[l >> 4] + (l & 15);
        float even = 0f;
        float odd = 0f;
        for (int d = 0; d < headDim; d += 2) {
          even = kv.get(at + d * 16) * q[d] + even;
          odd = kv.get(at + d * 16 + 16) * q[d + 1] + odd;
        }
        p[l] = (even + odd) * scale;
      }
      c.localBarrier();
      if (l < 16) {
        float max = LEAST;
        for (int t = l; t < count; t += 16) {
          max = Math.max(max, p[t]);
        }
        lanes[l] = max;
      }
      c.localBarrier();
      if (l == 0) {
        float max = LEAST;
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
      if (l < headDim) {
        float o = 0f;
        for (int t = 0; t < count; t++) {
          int at = bases[t >> 4] + (kvHeads * 16 + (t & 15)) * headDim;
          o = kv.get(at + l) * p[t] + o;
        }
        part.set((slot * heads + head) * (headDim + 2) + l, o);
        if (l == 0) {
          int to = (slot * heads + head) * (headDim + 2) + headDim;
          part.set(to, stats[0]);
          part.set(
              to + 1,
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
                  lanes[l + 15]));
        }
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
      float scale) {
    int l = c.localIdx;
    int head = c.groupIdy;
    int used = step.get(StepLayout.SLOTS);
    int groups = step.get(StepLayout.GROUPS);
    int row = step.get(StepLayout.slotRow(rows) + c.groupIdx);
    int count = step.get(StepLayout.slotCount(rows, slots) + c.groupIdx);
    int table = step.get(StepLayout.slotTable(rows, slots) + c.groupIdx);
    int kvHead = head / (heads / kvHeads);
    int[] bases = c.allocateIntLocalArray(16);
    float[] q = c.allocateFloatLocalArray(256);
    float[] p = c.allocateFloatLocalArray(256);
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] stats = c.allocateFloatLocalArray(2);
    for (int slot = c.groupIdx; slot < used; slot += groups) {
      if (l < 16 && l * 16 < count) {
        bases[l] = (step.get(table + l) * 2 * kvHeads + kvHead) * 8 * headDim;
      }
      if (l < headDim) {
        q[l] = x.get(row * xStride + head * headDim + l);
      }
      c.localBarrier();
      if (l < count) {
        int at = bases[l >> 4] + ((l & 15) >> 1);
        int shift = 16 * (l & 1);
        float even = 0f;
        float odd = 0f;
        for (int d = 0; d < headDim; d += 2) {
          even = Arithmetic.fp16(kv.get(at + d * 8) >> shift, powers) * q[d] + even;
          odd = Arithmetic.fp16(kv.get(at + d * 8 + 8) >> shift, powers) * q[d + 1] + odd;
        }
        p[l] = (even + odd) * scale;
      }
      c.localBarrier();
      if (l < 16) {
        float max = LEAST;
        for (int t = l; t < count; t += 16) {
          max = Math.max(max, p[t]);
        }
        lanes[l] = max;
      }
      c.localBarrier();
      if (l == 0) {
        float max = LEAST;
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
      if (l < headDim) {
        int shift = 16 * (l & 1);
        float o = 0f;
        for (int t = 0; t < count; t++) {
          int at = bases[t >> 4] + (kvHeads * 16 + (t & 15)) * (headDim / 2);
          o = Arithmetic.fp16(kv.get(at + (l >> 1)) >> shift, powers) * p[t] + o;
        }
        part.set((slot * heads + head) * (headDim + 2) + l, o);
        if (l == 0) {
          int to = (slot * heads + head) * (headDim + 2) + headDim;
          part.set(to, stats[0]);
          part.set(
              to + 1,
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
                  lanes[l + 15]));
        }
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

package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * What happens to a row on its own: embedding, norm, gathering, gating. Unless it says otherwise
 * the grid is [work groups of a row][tokens]. Whatever a linear layer reads is padded with zeros up
 * to its stride.
 */
final class RowKernels {
  /** Work items of a group. */
  static final int LOCAL = 64;

  private RowKernels() {}

  /**
   * y[token] = table[id], of 16-bit weights; see {@link DenseKernels}.
   *
   * @param at where the table begins, in ints
   */
  public static void embedSixteen(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      LongArray table,
      FloatArray y,
      int tokens,
      int bf,
      int at,
      int cols,
      int yStride) {
    int k = c.globalIdx;
    int token = c.groupIdy;
    if (k < cols && token < step.get(StepLayout.N)) {
      int id = step.get(tokens + token);
      int bits =
          Arithmetic.intAt(table, at + 2 * id * DenseKernels.rowLongs(cols) + k / 2)
              >> (16 * (k & 1));
      float value = bf == 1 ? Arithmetic.bf16(bits, powers) : Arithmetic.fp16(bits, powers);
      y.set(token * yStride + k, value);
    }
  }

  /** y[token] = table[id], of fp32. */
  public static void embedSingle(
      KernelContext c,
      IntArray step,
      FloatArray table,
      FloatArray y,
      int tokens,
      int at,
      int cols,
      int yStride) {
    int k = c.globalIdx;
    int token = c.groupIdy;
    if (k < cols && token < step.get(StepLayout.N)) {
      int id = step.get(tokens + token);
      y.set(token * yStride + k, table.get(at + id * cols + k));
    }
  }

  /**
   * y = x / sqrt(mean(x^2) + eps) * weight; one work group a row.
   *
   * @param select where the numbers of the rows to take lie; below 0 they are 0, 1, ..
   */
  public static void rmsNorm(
      KernelContext c,
      IntArray step,
      FloatArray p,
      FloatArray x,
      FloatArray y,
      int select,
      int weightAt,
      int width,
      int xStride,
      int yStride,
      float eps) {
    int l = c.localIdx;
    int row = c.groupIdy;
    int n = step.get(StepLayout.N);
    int bounded = Math.max(Math.min(row, n - 1), 0);
    int from = (select < 0 ? bounded : step.get(Math.max(select, 0) + bounded)) * xStride;
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] scale = c.allocateFloatLocalArray(1);
    if (l < 16) {
      float acc = 0f;
      for (int k = l; k < width; k += 16) {
        float value = x.get(from + k);
        acc = value * value + acc;
      }
      lanes[l] = acc;
    }
    c.localBarrier();
    if (l == 0) {
      float sum =
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
      scale[0] = Arithmetic.normScale(sum, width, eps);
    }
    c.localBarrier();
    if (row < n) {
      float s = scale[0];
      for (int k = l; k < width; k += LOCAL) {
        y.set(row * yStride + k, x.get(from + k) * s * p.get(weightAt + k));
      }
      for (int k = width + l; k < yStride; k += LOCAL) {
        y.set(row * yStride + k, 0f);
      }
    }
  }

  /** y = silu(gate) * up, where x holds gates from 0 and ups from upAt on. */
  public static void swiglu(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      FloatArray x,
      FloatArray y,
      int width,
      int upAt,
      int xStride,
      int yStride) {
    int k = c.globalIdx;
    int token = c.groupIdy;
    if (k < yStride && token < step.get(StepLayout.N)) {
      int column = Math.min(k, width - 1);
      float gate = x.get(token * xStride + column);
      float up = x.get(token * xStride + upAt + column);
      float value = SourceArithmetic.gated(gate, up, powers);
      y.set(token * yStride + k, k < width ? value : 0f);
    }
  }

  /** y = x[which]: one row of many, whose number is the ints' first. */
  public static void copyRow(
      KernelContext c, IntArray which, FloatArray x, FloatArray y, int width, int xStride) {
    int k = c.globalIdx;
    if (k < width) {
      y.set(k, x.get(which.get(0) * xStride + k));
    }
  }

  /**
   * Does nothing with an array, but so that it must be on the device: p is {@link Powers}, and 1 is
   * not below 0.
   */
  public static void touch(KernelContext c, FloatArray p, FloatArray x) {
    float value = p.get(Powers.TWO);
    if (value < 0f) {
      x.set(0, x.get(0) + value);
    }
  }

  /** {@link #touch} for ints. */
  public static void touchInts(KernelContext c, FloatArray p, IntArray x) {
    float value = p.get(Powers.TWO);
    if (value < 0f) {
      x.set(0, x.get(0) + 1);
    }
  }

  /** {@link #touch} for two. */
  public static void touchBoth(KernelContext c, LongArray w, FloatArray x, FloatArray p) {
    float value = p.get(Powers.TWO);
    if (value < 0f) {
      x.set(0, x.get(0) + (int) w.get(0));
      w.set(0, (int) value);
    }
  }

  /**
   * Reads everything once, neighbours side by side, and says so in a way that can't be left out.
   */
  public static void readAll(KernelContext c, IntArray x, IntArray sums, int items, int each) {
    int item = c.globalIdx;
    int sum = 0;
    for (int i = 0; i < each; i++) {
      sum += x.get(i * items + item);
    }
    sums.set(item, sum);
  }
}

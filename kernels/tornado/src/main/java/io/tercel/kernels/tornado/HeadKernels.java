package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Norm and rotation of the heads of q and k, in place. */
final class HeadKernels {
  /** Work items of a group. */
  static final int LOCAL = 64;

  private HeadKernels() {}

  /**
   * The grid is [heads + kvHeads][tokens], a work group each.
   *
   * @param rope [tokens][headDim]: cosines, then sines
   * @param x [tokens][xStride]: q from 0, k from kAt
   * @param qNormAt weights in p; below 0 there is no norm
   * @param kNormAt likewise
   */
  public static void normAndRotate(
      KernelContext c,
      IntArray step,
      FloatArray p,
      FloatArray rope,
      FloatArray x,
      int heads,
      int headDim,
      int xStride,
      int kAt,
      int qNormAt,
      int kNormAt,
      float eps) {
    int l = c.localIdx;
    int head = c.groupIdx;
    int token = c.groupIdy;
    int n = step.get(StepLayout.N);
    int row = Math.max(Math.min(token, n - 1), 0);
    int inRow = head < heads ? head * headDim : kAt + (head - heads) * headDim;
    int at = row * xStride + inRow;
    int weightAt = head < heads ? qNormAt : kNormAt;
    int half = headDim / 2;
    float[] lanes = c.allocateFloatLocalArray(16);
    float[] scale = c.allocateFloatLocalArray(1);
    if (l < 16) {
      float acc = 0f;
      for (int k = l; k < headDim; k += 16) {
        float value = x.get(at + k);
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
      double mean = (double) sum / headDim;
      float root = (float) (1.0 / TornadoMath.sqrt(mean + eps));
      scale[0] = root + 0f * sum; // NaN where the sum is no number
    }
    c.localBarrier();
    if (token < n) {
      for (int i = l; i < half; i += LOCAL) {
        float low = x.get(at + i);
        float high = x.get(at + half + i);
        if (weightAt >= 0) {
          low = low * scale[0] * p.get(weightAt + i);
          high = high * scale[0] * p.get(weightAt + half + i);
        }
        float cos = rope.get(row * headDim + i);
        float sin = rope.get(row * headDim + half + i);
        x.set(at + i, low * cos - high * sin);
        x.set(at + half + i, Arithmetic.plus(high * cos, low * sin));
      }
    }
  }
}

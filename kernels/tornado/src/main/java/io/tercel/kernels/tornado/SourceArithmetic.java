package io.tercel.kernels.tornado;

import io.tercel.kernels.ops.Attention;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** What a {@link Source} is to kernels: a number, and how its values are made. */
final class SourceArithmetic {
  /** {@link Source.Given}. */
  static final int GIVEN = 0;

  /** {@link Source.Normed}. */
  static final int NORMED = 1;

  /** {@link Source.Gated}. */
  static final int GATED = 2;

  /** {@link Source.Joined}. */
  static final int JOINED = 3;

  private SourceArithmetic() {}

  /**
   * One value of a row.
   *
   * @param row of the pass
   * @param from the row of x, where that is another
   * @param k column
   * @param at of NORMED the weights in p, of GATED the first up, of JOINED most rows of a pass
   * @param more of JOINED heads
   * @param scale of NORMED: what the row is multiplied by
   */
  static float value(
      int source,
      IntArray step,
      FloatArray powers,
      FloatArray p,
      FloatArray x,
      int row,
      int from,
      int k,
      int xStride,
      int at,
      int more,
      int headDim,
      float scale) {
    if (source == NORMED) {
      return x.get(from * xStride + k) * scale * p.get(at + k);
    }
    if (source == GATED) {
      return gated(x.get(row * xStride + k), x.get(row * xStride + at + k), powers);
    }
    if (source == JOINED) {
      int head = k / headDim;
      int splits = (step.get(StepLayout.positions(at) + row) + Attention.SPLIT) / Attention.SPLIT;
      int first = step.get(StepLayout.firstSlot(at) + row) * more + head;
      return joined(
          x,
          powers,
          first * (headDim + 2),
          more * (headDim + 2),
          splits,
          headDim,
          k - head * headDim);
    }
    return x.get(row * xStride + k);
  }

  /** silu(gate) * up. */
  static float gated(float gate, float up, FloatArray powers) {
    float e = Arithmetic.exp(-gate, powers);
    return gate / Arithmetic.plus(1f, e) * up;
  }

  /** Dim d of a head: the splits, from {@code base} on and {@code stride} apart, in order. */
  static float joined(
      FloatArray part, FloatArray powers, int base, int stride, int splits, int headDim, int d) {
    float max = part.get(base + headDim);
    float sum = part.get(base + headDim + 1);
    float o = part.get(base + d);
    for (int s = 1; s < splits; s++) {
      int at = base + s * stride;
      float next = part.get(at + headDim);
      float most = Math.max(max, next);
      float a = Arithmetic.exp(max - most, powers);
      float b = Arithmetic.exp(next - most, powers);
      max = most;
      float other = part.get(at + headDim + 1);
      sum = Arithmetic.product(a, sum, powers) + Arithmetic.product(b, other, powers);
      o = Arithmetic.product(a, o, powers) + Arithmetic.product(b, part.get(at + d), powers);
    }
    return o / sum;
  }
}

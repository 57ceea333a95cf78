package io.tercel.kernels.vector;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Exp;
import io.tercel.kernels.ops.LaneSum;
import jdk.incubator.vector.FloatVector;

/**
 * One split of attention for one row and head, on K and V that lie unpacked as floats: K as
 * [block][headDim][16], V as [token][headDim]. The order of every sum is {@link Attention}'s.
 */
final class AttentionLoop {
  private static final int BLOCK = KvLayout.BLOCK_SIZE;

  private AttentionLoop() {}

  /**
   * Scores, their maximum, exponentials and sum, and the weighted values.
   *
   * @param n tokens of the split that the row sees, at least 1
   * @param scores scratch of {@link Attention#SPLIT} floats
   * @param max gets the largest score at {@code statAt}
   * @param sum gets the sum of exponentials at {@code statAt}
   * @param out gets [headDim] weighted values from {@code outAt} on
   */
  static void split(
      float[] q,
      int qAt,
      float[] keys,
      float[] values,
      int n,
      int headDim,
      float scale,
      float[] scores,
      float[] partial,
      float[] max,
      float[] sum,
      int statAt,
      float[] out,
      int outAt) {
    int blocks = Math.ceilDiv(n, BLOCK);
    int block = 0;
    for (; block + 4 <= blocks; block += 4) {
      scoreFour(q, qAt, keys, block, headDim, scale, scores);
    }
    for (; block < blocks; block++) {
      scoreOne(q, qAt, keys, block, headDim, scale, scores);
    }
    float largest = Float.NEGATIVE_INFINITY;
    for (int t = 0; t < n; t++) {
      largest = Math.max(largest, scores[t]);
    }
    max[statAt] = largest;
    sum[statAt] = exponentials(scores, n, largest, partial);
    weigh(scores, values, n, headDim, out, outAt);
  }

  private static void scoreFour(
      float[] q, int qAt, float[] keys, int block, int headDim, float scale, float[] scores) {
    int stride = headDim * BLOCK;
    int at = block * stride;
    for (int lane = 0; lane < BLOCK; lane += Lanes.COUNT) {
      FloatVector a0 = FloatVector.zero(Lanes.FLOAT);
      FloatVector a1 = FloatVector.zero(Lanes.FLOAT);
      FloatVector a2 = FloatVector.zero(Lanes.FLOAT);
      FloatVector a3 = FloatVector.zero(Lanes.FLOAT);
      for (int d = 0; d < headDim; d++) {
        FloatVector x = FloatVector.broadcast(Lanes.FLOAT, q[qAt + d]);
        int k = at + d * BLOCK + lane;
        a0 = x.fma(Lanes.load(keys, k), a0);
        a1 = x.fma(Lanes.load(keys, k + stride), a1);
        a2 = x.fma(Lanes.load(keys, k + 2 * stride), a2);
        a3 = x.fma(Lanes.load(keys, k + 3 * stride), a3);
      }
      int t = block * BLOCK + lane;
      a0.mul(scale).intoArray(scores, t);
      a1.mul(scale).intoArray(scores, t + BLOCK);
      a2.mul(scale).intoArray(scores, t + 2 * BLOCK);
      a3.mul(scale).intoArray(scores, t + 3 * BLOCK);
    }
  }

  private static void scoreOne(
      float[] q, int qAt, float[] keys, int block, int headDim, float scale, float[] scores) {
    int at = block * headDim * BLOCK;
    for (int lane = 0; lane < BLOCK; lane += Lanes.COUNT) {
      FloatVector acc = FloatVector.zero(Lanes.FLOAT);
      for (int d = 0; d < headDim; d++) {
        FloatVector x = FloatVector.broadcast(Lanes.FLOAT, q[qAt + d]);
        acc = x.fma(Lanes.load(keys, at + d * BLOCK + lane), acc);
      }
      acc.mul(scale).intoArray(scores, block * BLOCK + lane);
    }
  }

  /** Replaces scores by exp(score - largest) and sums them. */
  private static float exponentials(float[] scores, int n, float largest, float[] partial) {
    int whole = Lanes.floor(n);
    for (int lane = 0; lane < LaneSum.LANES; lane += Lanes.COUNT) {
      FloatVector acc = FloatVector.zero(Lanes.FLOAT);
      for (int t = lane; t < whole; t += LaneSum.LANES) {
        FloatVector p = VectorExp.exp(Lanes.load(scores, t).sub(largest));
        p.intoArray(scores, t);
        acc = acc.add(p);
      }
      acc.intoArray(partial, lane);
    }
    for (int t = whole; t < n; t++) {
      scores[t] = Exp.exp(scores[t] - largest);
      partial[t - whole] += scores[t];
    }
    return LaneSum.tree(partial, 0);
  }

  private static void weigh(float[] p, float[] values, int n, int headDim, float[] out, int outAt) {
    int d = 0;
    for (; d + 4 * Lanes.COUNT <= headDim; d += 4 * Lanes.COUNT) {
      weighFour(p, values, n, headDim, d, out, outAt + d);
    }
    for (; d + Lanes.COUNT <= headDim; d += Lanes.COUNT) {
      FloatVector acc = FloatVector.zero(Lanes.FLOAT);
      for (int t = 0; t < n; t++) {
        FloatVector w = FloatVector.broadcast(Lanes.FLOAT, p[t]);
        acc = w.fma(Lanes.load(values, t * headDim + d), acc);
      }
      acc.intoArray(out, outAt + d);
    }
    for (; d < headDim; d++) {
      float acc = 0;
      for (int t = 0; t < n; t++) {
        acc = Math.fma(p[t], values[t * headDim + d], acc);
      }
      out[outAt + d] = acc;
    }
  }

  private static void weighFour(
      float[] p, float[] values, int n, int headDim, int d, float[] out, int outAt) {
    FloatVector a0 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a1 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a2 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a3 = FloatVector.zero(Lanes.FLOAT);
    for (int t = 0; t < n; t++) {
      FloatVector w = FloatVector.broadcast(Lanes.FLOAT, p[t]);
      int v = t * headDim + d;
      a0 = w.fma(Lanes.load(values, v), a0);
      a1 = w.fma(Lanes.load(values, v + Lanes.COUNT), a1);
      a2 = w.fma(Lanes.load(values, v + 2 * Lanes.COUNT), a2);
      a3 = w.fma(Lanes.load(values, v + 3 * Lanes.COUNT), a3);
    }
    a0.intoArray(out, outAt);
    a1.intoArray(out, outAt + Lanes.COUNT);
    a2.intoArray(out, outAt + 2 * Lanes.COUNT);
    a3.intoArray(out, outAt + 3 * Lanes.COUNT);
  }
}

package io.tercel.kernels.vector;

import io.tercel.kernels.ops.Exp;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.Ops;
import jdk.incubator.vector.FloatVector;

/** Scans of a row of logits. */
final class LogitsLoop {

  private LogitsLoop() {}

  /** Index of the first largest element, or of the first NaN. */
  static int argMax(float[] x, int offset, int count) {
    FloatVector best = FloatVector.broadcast(Lanes.FLOAT, Float.NEGATIVE_INFINITY);
    int i = 0;
    for (; i + Lanes.COUNT <= count; i += Lanes.COUNT) {
      best = best.max(Lanes.load(x, offset + i));
    }
    float max = Float.NEGATIVE_INFINITY;
    for (int lane = 0; lane < Lanes.COUNT; lane++) {
      max = Math.max(max, best.lane(lane));
    }
    for (; i < count; i++) {
      max = Math.max(max, x[offset + i]);
    }
    for (int j = 0; j < count; j++) {
      if (x[offset + j] == max || Float.isNaN(x[offset + j])) {
        return j; // there is no NaN before the largest, or that would be NaN
      }
    }
    throw new IllegalStateException("the largest of " + count + " elements is none of them");
  }

  /** Sum of e^(x - max); see {@code Ops.sumExp} for the order. */
  static double sumExp(float[] x, int offset, int count, float max, float[] partial) {
    double total = 0;
    for (int chunk = 0; chunk < count; chunk += Ops.SUM_CHUNK) {
      total += chunkSum(x, offset + chunk, Math.min(Ops.SUM_CHUNK, count - chunk), max, partial);
    }
    return total;
  }

  private static float chunkSum(float[] x, int at, int n, float max, float[] partial) {
    int whole = Lanes.floor(n);
    for (int lane = 0; lane < LaneSum.LANES; lane += Lanes.COUNT) {
      FloatVector acc = FloatVector.zero(Lanes.FLOAT);
      for (int j = lane; j < whole; j += LaneSum.LANES) {
        acc = acc.add(VectorExp.exp(Lanes.load(x, at + j).sub(max)));
      }
      acc.intoArray(partial, lane);
    }
    for (int j = whole; j < n; j++) {
      partial[j - whole] += Exp.exp(x[at + j] - max);
    }
    return LaneSum.tree(partial, 0);
  }
}

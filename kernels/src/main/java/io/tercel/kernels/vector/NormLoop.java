package io.tercel.kernels.vector;

import io.tercel.kernels.ops.LaneSum;
import jdk.incubator.vector.FloatVector;

/** RMSNorm of one row. */
final class NormLoop {
  private NormLoop() {}

  /**
   * out = x / sqrt(mean(x^2) + eps) * weight.
   *
   * @param partial scratch of 16 floats
   */
  static void norm(
      float[] x, int at, float[] weight, float eps, float[] out, int outAt, float[] partial) {
    int n = weight.length;
    int whole = Lanes.floor(n);
    for (int lane = 0; lane < LaneSum.LANES; lane += Lanes.COUNT) {
      FloatVector acc = FloatVector.zero(Lanes.FLOAT);
      for (int j = lane; j < whole; j += LaneSum.LANES) {
        FloatVector v = Lanes.load(x, at + j);
        acc = v.fma(v, acc);
      }
      acc.intoArray(partial, lane);
    }
    for (int j = whole; j < n; j++) {
      partial[j - whole] = Math.fma(x[at + j], x[at + j], partial[j - whole]);
    }
    float scale = inverseRoot(LaneSum.tree(partial, 0), n, eps);
    int j = 0;
    for (; j < whole; j += Lanes.COUNT) {
      Lanes.load(x, at + j).mul(scale).mul(Lanes.load(weight, j)).intoArray(out, outAt + j);
    }
    for (; j < n; j++) {
      out[outAt + j] = x[at + j] * scale * weight[j];
    }
  }

  /** 1 / sqrt(sum / n + eps), in double and rounded once; NaN where the sum is not finite. */
  static float inverseRoot(float sum, int n, float eps) {
    if (!Float.isFinite(sum)) {
      return Float.NaN;
    }
    return (float) (1.0 / Math.sqrt((double) sum / n + eps));
  }
}

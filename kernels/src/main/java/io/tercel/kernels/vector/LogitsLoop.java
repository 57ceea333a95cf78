package io.tercel.kernels.vector;

import io.tercel.kernels.ops.Exp;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.Ops;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

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
    float max = largestLane(best);
    for (; i < count; i++) {
      max = Math.max(max, x[offset + i]);
    }
    return first(x, offset, count, max);
  }

  /**
   * Writes what may be drawn, a word of the mask at a time; see {@code Ops.mask}. Most words of
   * most masks are empty or full.
   */
  static int mask(float[] x, int offset, int count, long[] allowed, float[] out) {
    FloatVector no = FloatVector.broadcast(Lanes.FLOAT, Float.NEGATIVE_INFINITY);
    FloatVector best = no;
    int i = 0;
    for (; i + Long.SIZE <= count; i += Long.SIZE) {
      long word = i >> 6 < allowed.length ? allowed[i >> 6] : 0;
      if (word == 0) {
        Arrays.fill(out, i, i + Long.SIZE, Float.NEGATIVE_INFINITY);
        continue;
      }
      for (int at = i; at < i + Long.SIZE; at += Lanes.COUNT) {
        FloatVector kept = Lanes.load(x, offset + at).max(-Float.MAX_VALUE);
        if (word != -1) {
          kept = no.blend(kept, VectorMask.fromLong(Lanes.FLOAT, word >>> at));
        }
        kept.intoArray(out, at);
        best = best.max(kept);
      }
    }
    float max = largestLane(best);
    long word = i >> 6 < allowed.length ? allowed[i >> 6] : 0;
    for (; i < count; i++) {
      boolean kept = (word >>> i & 1) != 0;
      out[i] = kept ? Math.max(x[offset + i], -Float.MAX_VALUE) : Float.NEGATIVE_INFINITY;
      max = Math.max(max, out[i]);
    }
    return first(out, 0, count, max);
  }

  private static float largestLane(FloatVector x) {
    float max = Float.NEGATIVE_INFINITY;
    for (int lane = 0; lane < Lanes.COUNT; lane++) {
      max = Math.max(max, x.lane(lane));
    }
    return max;
  }

  /** Index of the first element that is the largest, or of the first NaN. */
  private static int first(float[] x, int offset, int count, float max) {
    int i = 0;
    if (!Float.isNaN(max)) {
      while (i + Lanes.COUNT <= count && !Lanes.load(x, offset + i).eq(max).anyTrue()) {
        i += Lanes.COUNT;
      }
    }
    for (; i < count; i++) {
      if (x[offset + i] == max || Float.isNaN(x[offset + i])) {
        return i; // there is no NaN before the largest, or that would be NaN
      }
    }
    throw new IllegalStateException("the largest of " + count + " elements is none of them");
  }

  /** Writes e^((x - max) / temperature). */
  static void weigh(float[] x, int offset, int count, float max, float temperature, float[] out) {
    int whole = Lanes.floor(count);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      VectorExp.exp(Lanes.load(x, offset + i).sub(max).div(temperature)).intoArray(out, i);
    }
    for (int i = whole; i < count; i++) {
      out[i] = Exp.exp((x[offset + i] - max) / temperature);
    }
  }

  /** Writes where elements are at least so large; returns how many are. */
  static int atLeast(float[] x, int offset, int count, float least, int[] found) {
    FloatVector bound = FloatVector.broadcast(Lanes.FLOAT, least);
    int whole = Lanes.floor(count);
    int size = 0;
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      long lanes = Lanes.load(x, offset + i).compare(VectorOperators.GE, bound).toLong();
      for (; lanes != 0; lanes &= lanes - 1) {
        found[size++] = i + Long.numberOfTrailingZeros(lanes);
      }
    }
    for (int i = whole; i < count; i++) {
      if (x[offset + i] >= least) {
        found[size++] = i;
      }
    }
    return size;
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

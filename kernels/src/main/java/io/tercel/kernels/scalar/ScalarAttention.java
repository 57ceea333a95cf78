package io.tercel.kernels.scalar;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Exp;
import io.tercel.kernels.ops.LaneSum;
import java.lang.foreign.ValueLayout;

/** Attention of one row, as {@link Attention} defines it. */
final class ScalarAttention {
  private final KvPool pool;
  private final int layer;
  private final int[] table;
  private final int context;
  private final int headDim;

  /**
   * @param context tokens that the row sees, its own included
   */
  ScalarAttention(KvPool pool, int layer, int[] table, int context) {
    this.pool = pool;
    this.layer = layer;
    this.table = table;
    this.context = context;
    this.headDim = pool.layout().headDim();
  }

  /** out = attention of the head whose query lies from {@code at} on. */
  void attend(int kvHead, float[] q, float[] out, int at) {
    float[] stats = new float[2];
    float[] o = new float[headDim];
    for (int split = 0; split < Attention.splits(context); split++) {
      int begin = split * Attention.SPLIT;
      int n = Math.min(Attention.SPLIT, context - begin);
      float[] p = new float[n];
      float max = Float.NEGATIVE_INFINITY;
      for (int t = 0; t < n; t++) {
        p[t] = score(kvHead, q, at, begin + t);
        max = Math.max(max, p[t]);
      }
      float[] lanes = new float[LaneSum.LANES];
      for (int t = 0; t < n; t++) {
        p[t] = Exp.exp(p[t] - max);
        lanes[t % LaneSum.LANES] += p[t];
      }
      float[] next = new float[headDim];
      for (int t = 0; t < n; t++) {
        for (int d = 0; d < headDim; d++) {
          next[d] = Math.fma(p[t], value(kvHead, begin + t, d), next[d]);
        }
      }
      float sum = LaneSum.tree(lanes, 0);
      if (split == 0) {
        stats[0] = max;
        stats[1] = sum;
        o = next;
      } else {
        Attention.join(stats, 0, o, 0, max, sum, next, 0, headDim);
      }
    }
    Attention.finish(stats[1], o, 0, out, at, headDim);
  }

  private float score(int kvHead, float[] q, int at, int position) {
    float dot = 0;
    for (int d = 0; d < headDim; d++) {
      dot = Math.fma(q[at + d], key(kvHead, position, d), dot);
    }
    return dot * Attention.scale(headDim);
  }

  private float key(int kvHead, int position, int d) {
    int block = table[position / KvLayout.BLOCK_SIZE];
    int slot = position % KvLayout.BLOCK_SIZE;
    return element(pool.keyOffset(layer, block, kvHead), (long) d * KvLayout.BLOCK_SIZE + slot);
  }

  private float value(int kvHead, int position, int d) {
    int block = table[position / KvLayout.BLOCK_SIZE];
    int slot = position % KvLayout.BLOCK_SIZE;
    return element(pool.valueOffset(layer, block, kvHead), (long) slot * headDim + d);
  }

  private float element(long offset, long i) {
    return switch (pool.layout().type()) {
      case FP32 -> pool.segment().get(ValueLayout.JAVA_FLOAT_UNALIGNED, offset + 4 * i);
      case FP16 ->
          Float.float16ToFloat(
              pool.segment().get(ValueLayout.JAVA_SHORT_UNALIGNED, offset + 2 * i));
    };
  }
}

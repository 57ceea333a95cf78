package io.tercel.kernels.scalar;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.EightSum;
import io.tercel.kernels.ops.Exp;
import io.tercel.kernels.ops.KvQuantizer;
import io.tercel.kernels.ops.LaneSum;
import java.lang.foreign.ValueLayout;

/** Attention of one row, as {@link Attention} defines it. */
final class ScalarAttention {
  private final KvPool pool;
  private final int layer;
  private final int[] table;
  private final int context;
  private final KvLayout layout;
  private final int headDim;

  /**
   * @param context tokens that the row sees, its own included
   */
  ScalarAttention(KvPool pool, int layer, int[] table, int context) {
    this.pool = pool;
    this.layer = layer;
    this.table = table;
    this.context = context;
    this.layout = pool.layout();
    this.headDim = layout.headDim();
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
      float[] next = weighted(kvHead, begin, n, p);
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
    long key = pool.keyOffset(layer, block(position), kvHead);
    int slot = position % KvLayout.BLOCK_SIZE;
    float even = 0;
    float odd = 0;
    for (int d = 0; d < headDim; d++) {
      if (d % 2 == 0) {
        even = Math.fma(key(key, slot, d), q[at + d], even);
      } else {
        odd = Math.fma(key(key, slot, d), q[at + d], odd);
      }
    }
    float dot = even + odd;
    if (layout.type() == KvType.INT4) {
      int meta = word(key + layout.keyCodeBytes() + 4L * slot);
      float zero = 1 + KvQuantizer.zero(meta) / 16f;
      dot = 16 * KvQuantizer.scale(meta) * Math.fma(-zero, EightSum.of(q, at, headDim), dot);
    }
    return dot * Attention.scale(headDim);
  }

  /** The split's values by their probabilities p, which become weights. */
  private float[] weighted(int kvHead, int begin, int n, float[] p) {
    float[] o = new float[headDim];
    float[] lanes = new float[LaneSum.LANES];
    for (int t = 0; t < n; t++) {
      long value = pool.valueOffset(layer, block(begin + t), kvHead);
      int slot = (begin + t) % KvLayout.BLOCK_SIZE;
      if (layout.type() == KvType.INT4) {
        int meta = word(value + layout.valueCodeBytes() + 4L * slot);
        p[t] *= 16 * KvQuantizer.scale(meta);
        float zero = 1 + KvQuantizer.zero(meta) / 16f;
        lanes[t % LaneSum.LANES] = Math.fma(zero, p[t], lanes[t % LaneSum.LANES]);
      }
      for (int d = 0; d < headDim; d++) {
        o[d] = Math.fma(value(value, slot, d), p[t], o[d]);
      }
    }
    float zeros = LaneSum.tree(lanes, 0);
    for (int d = 0; d < headDim; d++) {
      o[d] -= zeros;
    }
    return o;
  }

  private int block(int position) {
    return table[position / KvLayout.BLOCK_SIZE];
  }

  private float key(long key, int slot, int d) {
    long element = (long) d * KvLayout.BLOCK_SIZE + slot;
    return switch (layout.type()) {
      case FP32 -> pool.segment().get(ValueLayout.JAVA_FLOAT_UNALIGNED, key + 4 * element);
      case FP16 -> half(key + 2 * element);
      case INT4 -> {
        long row = (long) d / KvLayout.WORD_DIMS * KvLayout.ROW_BYTES;
        int word = word(key + row + 4L * slot);
        yield 1 + (word >>> 4 * (d % KvLayout.WORD_DIMS) & 15) / 16f;
      }
    };
  }

  private float value(long value, int slot, int d) {
    long element = (long) slot * headDim + d;
    return switch (layout.type()) {
      case FP32 -> pool.segment().get(ValueLayout.JAVA_FLOAT_UNALIGNED, value + 4 * element);
      case FP16 -> half(value + 2 * element);
      case INT4 -> {
        long row = (long) slot / 2 * layout.chunks() + d / KvLayout.CHUNK_DIMS;
        int word = word(value + row * KvLayout.ROW_BYTES + 4L * (d % 16));
        int half = word >>> 16 * (slot % 2);
        yield 1 + (half >>> 4 * (d % KvLayout.CHUNK_DIMS / 16) & 15) / 16f;
      }
    };
  }

  private int word(long offset) {
    return pool.segment().get(ValueLayout.JAVA_INT_UNALIGNED, offset);
  }

  private float half(long offset) {
    return Float.float16ToFloat(pool.segment().get(ValueLayout.JAVA_SHORT_UNALIGNED, offset));
  }
}

package io.tercel.kernels.ops;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Writes one token's keys and values of one head to their slot, rounding to the pool's type. */
public final class KvAppend {
  /**
   * Largest finite half: larger values are stored as this, so that a cache never holds infinities.
   */
  private static final float MAX_HALF = 65504f;

  private KvAppend() {}

  /**
   * Writes a head's K and V.
   *
   * @param at first element of the head in k and in v
   * @param block block number
   * @param slot token within the block
   */
  public static void write(
      KvPool pool, int layer, int block, int slot, int head, float[] k, float[] v, int at) {
    KvLayout layout = pool.layout();
    int headDim = layout.headDim();
    int bytes = layout.type().elementBytes();
    long key = pool.keyOffset(layer, block, head) + (long) slot * bytes;
    long value = pool.valueOffset(layer, block, head) + (long) slot * headDim * bytes;
    long keyStride = (long) KvLayout.BLOCK_SIZE * bytes;
    for (int d = 0; d < headDim; d++) {
      put(pool.segment(), layout.type(), key + d * keyStride, k[at + d]);
      put(pool.segment(), layout.type(), value + (long) d * bytes, v[at + d]);
    }
  }

  private static void put(MemorySegment segment, KvType type, long offset, float x) {
    switch (type) {
      case FP32 -> segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, offset, x);
      case FP16 -> segment.set(ValueLayout.JAVA_SHORT_UNALIGNED, offset, half(x));
    }
  }

  /** The nearest half, half to even, saturated. */
  static short half(float x) {
    return Float.floatToFloat16(Math.max(-MAX_HALF, Math.min(MAX_HALF, x)));
  }
}

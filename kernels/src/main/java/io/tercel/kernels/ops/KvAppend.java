package io.tercel.kernels.ops;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.KvType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Writes one token's keys and values of one head to their slot, rounding to the pool's type. A
 * cache never holds an infinity: what is not finite is stored as NaN, in 4-bit codes as a scale
 * that is NaN, so that whoever reads it gets NaN whatever it multiplies it by.
 */
public final class KvAppend {
  /** Largest finite half: larger finite values are stored as this. */
  private static final float MAX_HALF = 65504f;

  /** The half that stands for what is not finite. */
  static final short NAN_HALF = 0x7e00;

  private KvAppend() {}

  /**
   * Writes a head's K and V.
   *
   * @param at first element of the head in k and in v
   * @param block block number
   * @param slot token within the block
   * @param transform whose clips 4 bits mind
   */
  public static void write(
      KvPool pool,
      int layer,
      int block,
      int slot,
      int head,
      float[] k,
      float[] v,
      int at,
      KvTransform transform) {
    KvLayout layout = pool.layout();
    long key = pool.keyOffset(layer, block, head);
    long value = pool.valueOffset(layer, block, head);
    if (layout.type() == KvType.INT4) {
      codesOfKey(pool.segment(), layout, key, slot, k, at, transform.keyClip());
      codesOfValue(pool.segment(), layout, value, slot, v, at, transform.valueClip());
      return;
    }
    int headDim = layout.headDim();
    int bytes = layout.type().bits() / Byte.SIZE;
    key += (long) slot * bytes;
    value += (long) slot * headDim * bytes;
    long keyStride = (long) KvLayout.BLOCK_SIZE * bytes;
    for (int d = 0; d < headDim; d++) {
      put(pool.segment(), bytes, key + d * keyStride, k[at + d]);
      put(pool.segment(), bytes, value + (long) d * bytes, v[at + d]);
    }
  }

  private static void put(MemorySegment segment, int bytes, long offset, float x) {
    if (bytes == Float.BYTES) {
      float kept = Float.isFinite(x) ? x : Float.NaN;
      segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, offset, kept);
    } else {
      segment.set(ValueLayout.JAVA_SHORT_UNALIGNED, offset, half(x));
    }
  }

  private static void codesOfKey(
      MemorySegment segment, KvLayout layout, long key, int slot, float[] k, int at, float[] clip) {
    int meta = KvQuantizer.scaleAndZero(k, at, layout.headDim(), clip);
    float scale = KvQuantizer.scale(meta);
    int zero = KvQuantizer.zero(meta);
    long token = key + (long) slot * Integer.BYTES;
    for (int d = 0; d < layout.headDim(); d += KvLayout.WORD_DIMS) {
      int word = 0;
      for (int j = 0; j < KvLayout.WORD_DIMS; j++) {
        word |= KvQuantizer.code(k[at + d + j], scale, zero) << 4 * j;
      }
      long row = (long) d / KvLayout.WORD_DIMS * KvLayout.ROW_BYTES;
      segment.set(ValueLayout.JAVA_INT_UNALIGNED, token + row, word);
    }
    segment.set(ValueLayout.JAVA_INT_UNALIGNED, token + layout.keyCodeBytes(), meta);
  }

  private static void codesOfValue(
      MemorySegment segment,
      KvLayout layout,
      long value,
      int slot,
      float[] v,
      int at,
      float[] clip) {
    int headDim = layout.headDim();
    int meta = KvQuantizer.scaleAndZero(v, at, headDim, clip);
    float scale = KvQuantizer.scale(meta);
    int zero = KvQuantizer.zero(meta);
    long rows = (long) slot / 2 * layout.chunks();
    for (int c = 0; c < layout.chunks(); c++) {
      for (int lane = 0; lane < KvLayout.BLOCK_SIZE; lane++) {
        int codes = 0;
        for (int j = 0; j < 4; j++) {
          int d = c * KvLayout.CHUNK_DIMS + 16 * j + lane;
          codes |= d < headDim ? KvQuantizer.code(v[at + d], scale, zero) << 4 * j : 0;
        }
        long word = value + (rows + c) * KvLayout.ROW_BYTES + (long) lane * Integer.BYTES;
        segment.set(ValueLayout.JAVA_SHORT_UNALIGNED, word + slot % 2 * Short.BYTES, (short) codes);
      }
    }
    long scales = value + layout.valueCodeBytes();
    segment.set(ValueLayout.JAVA_INT_UNALIGNED, scales + (long) slot * Integer.BYTES, meta);
  }

  /** The nearest half, half to even, saturated; NaN for what is not finite. */
  static short half(float x) {
    if (!Float.isFinite(x)) {
      return NAN_HALF;
    }
    return Float.floatToFloat16(Math.max(-MAX_HALF, Math.min(MAX_HALF, x)));
  }
}

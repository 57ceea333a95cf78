package io.tercel.kernels.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.vector.VectorOps;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The 4-bit cache: its bytes, and what attention over it means. */
class Int4AttentionTest {
  private static final int HEADS = 2;

  @Test
  void layout_bytes() {
    KvLayout qwen = new KvLayout(KvType.INT4, 28, 8, 128);
    assertEquals(28 * 8 * 2 * (64 + 4), qwen.tokenBytes());
    assertEquals(2 * 8 * (8 * 128 + 64), qwen.layerBlockBytes());
    KvLayout narrow = new KvLayout(KvType.INT4, 1, 1, 24); // V padded to 64 dims
    assertEquals((3 * 64 + 64) + (8 * 64 + 64), narrow.blockBytes());
    assertThrows(IllegalArgumentException.class, () -> new KvLayout(KvType.INT4, 1, 1, 20));
  }

  /**
   * What is written is what the quantizer says, at the place that the layout says, token by token.
   */
  @ParameterizedTest
  @ValueSource(ints = {8, 24, 64, 80, 128})
  void append_writesItsOwnTokenOnly(int headDim) {
    KvLayout layout = new KvLayout(KvType.INT4, 2, HEADS, headDim);
    Random random = new Random(headDim);
    try (KvPool pool = new KvPool(layout, 2)) {
      pool.segment().fill((byte) 0xa5);
      float[][] k = new float[16][];
      float[][] v = new float[16][];
      int[] order = {3, 2, 0, 1, 15, 14, 9, 8, 4, 5, 6, 7, 10, 12, 11, 13};
      for (int slot : order) {
        k[slot] = gaussians(random, headDim, 1);
        v[slot] = gaussians(random, headDim, 3);
        KvAppend.write(pool, 1, 1, slot, 1, k[slot], v[slot], 0, KvTransform.NONE);
      }
      for (int slot = 0; slot < 16; slot++) {
        checkToken(pool, slot, k[slot], v[slot]);
      }
      byte[] all = pool.segment().toArray(ValueLayout.JAVA_BYTE);
      for (int at = 0; at < pool.keyOffset(1, 1, 1); at++) {
        int place = at;
        boolean value = at >= pool.valueOffset(1, 1, 1);
        assertTrue(value || all[at] == (byte) 0xa5, () -> "byte " + place + " was touched");
      }
    }
  }

  private static void checkToken(KvPool pool, int slot, float[] k, float[] v) {
    KvLayout layout = pool.layout();
    int headDim = layout.headDim();
    long key = pool.keyOffset(1, 1, 1);
    long value = pool.valueOffset(1, 1, 1);
    int keyMeta = word(pool.segment(), key + headDim / 8 * 64L + 4 * slot);
    int valueMeta = word(pool.segment(), value + (headDim + 63) / 64 * 512L + 4 * slot);
    assertEquals(KvQuantizer.scaleAndZero(k, 0, headDim), keyMeta);
    assertEquals(KvQuantizer.scaleAndZero(v, 0, headDim), valueMeta);
    for (int d = 0; d < headDim; d++) {
      int kWord = word(pool.segment(), key + d / 8 * 64L + 4 * slot);
      assertEquals(KvQuantizer.code(k[d], keyMeta), kWord >>> 4 * (d % 8) & 15);
      long row = (long) slot / 2 * ((headDim + 63) / 64) + d / 64;
      int vWord = word(pool.segment(), value + row * 64 + 4 * (d % 16));
      int shift = 16 * (slot % 2) + 4 * (d % 64 / 16);
      assertEquals(KvQuantizer.code(v[d], valueMeta), vWord >>> shift & 15);
    }
  }

  private static int word(MemorySegment segment, long at) {
    return segment.get(ValueLayout.JAVA_INT_UNALIGNED, at);
  }

  /**
   * Equals fp32 attention over s (code - z) but for float rounding, and lies as near to attention
   * over the exact keys and values as four bits allow.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 17, 256, 700})
  void attention_isThatOfTheDequantizedCache(int context) {
    int headDim = 64;
    Random random = new Random(context);
    float[] k = gaussians(random, context * HEADS * headDim, 1);
    float[] v = gaussians(random, k.length, 1);
    float[] q = gaussians(random, HEADS * 2 * headDim, 1);
    float[] exact = attend(KvType.FP32, headDim, context, k, v, q);
    float[] coarse = attend(KvType.INT4, headDim, context, k, v, q);
    float[] same =
        attend(KvType.FP32, headDim, context, rounded(k, headDim), rounded(v, headDim), q);
    double squares = 0;
    double errors = 0;
    for (int i = 0; i < exact.length; i++) {
      assertEquals(same[i], coarse[i], 2e-5);
      squares += exact[i] * exact[i];
      errors += Math.pow(exact[i] - coarse[i], 2);
    }
    assertTrue(Math.sqrt(errors / squares) < 0.2, "relative " + Math.sqrt(errors / squares));
  }

  private static float[] rounded(float[] x, int headDim) {
    float[] y = new float[x.length];
    for (int at = 0; at < x.length; at += headDim) {
      int meta = KvQuantizer.scaleAndZero(x, at, headDim);
      for (int d = at; d < at + headDim; d++) {
        y[d] = KvQuantizer.value(KvQuantizer.code(x[d], meta), meta);
      }
    }
    return y;
  }

  private static float[] attend(
      KvType type, int headDim, int context, float[] k, float[] v, float[] q) {
    int blocks = Math.ceilDiv(context, KvLayout.BLOCK_SIZE);
    int[] table = new int[blocks];
    for (int b = 0; b < blocks; b++) {
      table[b] = blocks - 1 - b;
    }
    try (KvPool pool = new KvPool(new KvLayout(type, 1, HEADS, headDim), blocks);
        VectorOps ops = new VectorOps(2)) {
      StepBatch whole = new StepBatch();
      whole.beginSequence(table);
      for (int p = 0; p < context; p++) {
        whole.addToken(0, p);
      }
      ops.appendKv(pool, 0, whole, k, v);
      StepBatch last = new StepBatch();
      last.beginSequence(table);
      last.addToken(0, context - 1);
      float[] out = new float[q.length];
      ops.attention(pool, 0, last, q, 2 * HEADS, out);
      return out;
    }
  }

  private static float[] gaussians(Random random, int count, double deviation) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) (deviation * random.nextGaussian());
    }
    return x;
  }
}

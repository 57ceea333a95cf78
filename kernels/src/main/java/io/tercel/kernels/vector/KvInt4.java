package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.memory.KvLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * The inner loops on 4-bit keys and values. A code becomes v = 1 + code / 16 by a shift to the
 * mantissa's top and {@code (field & mask) | 1.0f}, one vpternlogd. Two queries share what is
 * unpacked, so that a code of a pair costs two operations and two FMAs, and nothing is stored in
 * between. Bodies are small and loops stay rolled, for the reason given in {@link W3Gemv}.
 */
final class KvInt4 {
  private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;
  private static final int VIRTUAL = Lanes.VIRTUAL;
  private static final int BLOCK = KvLayout.BLOCK_SIZE;
  private static final int ROW = KvLayout.ROW_BYTES;

  // From an array: a vector constant that C2 can fold is broadcast anew at each use.
  private static final int[] BITS = {0x0078_0000, 0x3f80_0000};

  /** fp16 bits moved up by 13 are a float too small by 2^112; the other 2^4 is the 16 of 16 s. */
  private static final float SCALE = 0x1p116f;

  private static final int NAN = 0x7fc0_0000;

  private KvInt4() {}

  /**
   * even + odd of two queries and the tokens of two blocks.
   *
   * @param key0 address of a head's K in one block, key1 in another
   * @param q0 where one query begins in q, q1 the other
   * @param s0 where the scores of one query go, s1 of the other; the second block's 16 floats on
   */
  static void scores(
      long key0,
      long key1,
      int headDim,
      float[] q,
      int q0,
      int q1,
      float[] scores,
      int s0,
      int s1) {
    for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
      long bytes = (long) part * Integer.BYTES;
      scoresPart(
          key0 + bytes,
          key1 + bytes,
          headDim / KvLayout.WORD_DIMS,
          q,
          q0,
          q1,
          scores,
          s0 + part,
          s1 + part);
    }
  }

  private static void scoresPart(
      long key0, long key1, int words, float[] q, int q0, int q1, float[] scores, int s0, int s1) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BITS[0]);
    final IntVector one = IntVector.broadcast(Lanes.INT, BITS[1]);
    FloatVector e00 = FloatVector.zero(Lanes.FLOAT);
    FloatVector e01 = FloatVector.zero(Lanes.FLOAT);
    FloatVector e10 = FloatVector.zero(Lanes.FLOAT);
    FloatVector e11 = FloatVector.zero(Lanes.FLOAT);
    FloatVector o00 = FloatVector.zero(Lanes.FLOAT);
    FloatVector o01 = FloatVector.zero(Lanes.FLOAT);
    FloatVector o10 = FloatVector.zero(Lanes.FLOAT);
    FloatVector o11 = FloatVector.zero(Lanes.FLOAT);
    for (int n = 0; n < words; n++) {
      final int a = q0 + n * KvLayout.WORD_DIMS;
      final int b = q1 + n * KvLayout.WORD_DIMS;
      IntVector w0 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, key0 + n * (long) ROW, LITTLE);
      IntVector w1 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, key1 + n * (long) ROW, LITTLE);
      FloatVector x0 = FloatVector.broadcast(Lanes.FLOAT, q[a + 0]);
      FloatVector y0 = FloatVector.broadcast(Lanes.FLOAT, q[b + 0]);
      FloatVector v0 = w0.lanewise(LSHL, 19).and(mask).or(one).reinterpretAsFloats();
      e00 = v0.fma(x0, e00);
      e10 = v0.fma(y0, e10);
      FloatVector u0 = w1.lanewise(LSHL, 19).and(mask).or(one).reinterpretAsFloats();
      e01 = u0.fma(x0, e01);
      e11 = u0.fma(y0, e11);
      FloatVector x1 = FloatVector.broadcast(Lanes.FLOAT, q[a + 1]);
      FloatVector y1 = FloatVector.broadcast(Lanes.FLOAT, q[b + 1]);
      FloatVector v1 = w0.lanewise(LSHL, 15).and(mask).or(one).reinterpretAsFloats();
      o00 = v1.fma(x1, o00);
      o10 = v1.fma(y1, o10);
      FloatVector u1 = w1.lanewise(LSHL, 15).and(mask).or(one).reinterpretAsFloats();
      o01 = u1.fma(x1, o01);
      o11 = u1.fma(y1, o11);
      FloatVector x2 = FloatVector.broadcast(Lanes.FLOAT, q[a + 2]);
      FloatVector y2 = FloatVector.broadcast(Lanes.FLOAT, q[b + 2]);
      FloatVector v2 = w0.lanewise(LSHL, 11).and(mask).or(one).reinterpretAsFloats();
      e00 = v2.fma(x2, e00);
      e10 = v2.fma(y2, e10);
      FloatVector u2 = w1.lanewise(LSHL, 11).and(mask).or(one).reinterpretAsFloats();
      e01 = u2.fma(x2, e01);
      e11 = u2.fma(y2, e11);
      FloatVector x3 = FloatVector.broadcast(Lanes.FLOAT, q[a + 3]);
      FloatVector y3 = FloatVector.broadcast(Lanes.FLOAT, q[b + 3]);
      FloatVector v3 = w0.lanewise(LSHL, 7).and(mask).or(one).reinterpretAsFloats();
      o00 = v3.fma(x3, o00);
      o10 = v3.fma(y3, o10);
      FloatVector u3 = w1.lanewise(LSHL, 7).and(mask).or(one).reinterpretAsFloats();
      o01 = u3.fma(x3, o01);
      o11 = u3.fma(y3, o11);
      FloatVector x4 = FloatVector.broadcast(Lanes.FLOAT, q[a + 4]);
      FloatVector y4 = FloatVector.broadcast(Lanes.FLOAT, q[b + 4]);
      FloatVector v4 = w0.lanewise(LSHL, 3).and(mask).or(one).reinterpretAsFloats();
      e00 = v4.fma(x4, e00);
      e10 = v4.fma(y4, e10);
      FloatVector u4 = w1.lanewise(LSHL, 3).and(mask).or(one).reinterpretAsFloats();
      e01 = u4.fma(x4, e01);
      e11 = u4.fma(y4, e11);
      FloatVector x5 = FloatVector.broadcast(Lanes.FLOAT, q[a + 5]);
      FloatVector y5 = FloatVector.broadcast(Lanes.FLOAT, q[b + 5]);
      FloatVector v5 = w0.lanewise(LSHR, 1).and(mask).or(one).reinterpretAsFloats();
      o00 = v5.fma(x5, o00);
      o10 = v5.fma(y5, o10);
      FloatVector u5 = w1.lanewise(LSHR, 1).and(mask).or(one).reinterpretAsFloats();
      o01 = u5.fma(x5, o01);
      o11 = u5.fma(y5, o11);
      FloatVector x6 = FloatVector.broadcast(Lanes.FLOAT, q[a + 6]);
      FloatVector y6 = FloatVector.broadcast(Lanes.FLOAT, q[b + 6]);
      FloatVector v6 = w0.lanewise(LSHR, 5).and(mask).or(one).reinterpretAsFloats();
      e00 = v6.fma(x6, e00);
      e10 = v6.fma(y6, e10);
      FloatVector u6 = w1.lanewise(LSHR, 5).and(mask).or(one).reinterpretAsFloats();
      e01 = u6.fma(x6, e01);
      e11 = u6.fma(y6, e11);
      FloatVector x7 = FloatVector.broadcast(Lanes.FLOAT, q[a + 7]);
      FloatVector y7 = FloatVector.broadcast(Lanes.FLOAT, q[b + 7]);
      FloatVector v7 = w0.lanewise(LSHR, 9).and(mask).or(one).reinterpretAsFloats();
      o00 = v7.fma(x7, o00);
      o10 = v7.fma(y7, o10);
      FloatVector u7 = w1.lanewise(LSHR, 9).and(mask).or(one).reinterpretAsFloats();
      o01 = u7.fma(x7, o01);
      o11 = u7.fma(y7, o11);
    }
    e00.add(o00).intoArray(scores, s0);
    e01.add(o01).intoArray(scores, s0 + BLOCK);
    e10.add(o10).intoArray(scores, s1);
    e11.add(o11).intoArray(scores, s1 + BLOCK);
  }

  /**
   * Adds weighted values of a chunk of dims to the running sums of two queries, over whole blocks.
   *
   * @param blocks addresses of the blocks, [from, to) of them are read
   * @param offset of the chunk's first row from there
   * @param stride bytes between pairs of tokens
   * @param w0 weight of one query for the first token of block {@code from}, w1 of the other
   * @param o0 where the 64 sums of one query lie, o1 of the other
   */
  static void values(
      long[] blocks,
      int from,
      int to,
      long offset,
      long stride,
      float[] w,
      int w0,
      int w1,
      float[] out,
      int o0,
      int o1) {
    for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
      long bytes = (long) part * Integer.BYTES;
      valuesPart(blocks, from, to, offset + bytes, stride, w, w0, w1, out, o0 + part, o1 + part);
    }
  }

  private static void valuesPart(
      long[] blocks,
      int from,
      int to,
      long offset,
      long stride,
      float[] w,
      int w0,
      int w1,
      float[] out,
      int o0,
      int o1) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BITS[0]);
    final IntVector one = IntVector.broadcast(Lanes.INT, BITS[1]);
    FloatVector a0 = Lanes.load(out, o0);
    FloatVector a1 = Lanes.load(out, o0 + VIRTUAL);
    FloatVector a2 = Lanes.load(out, o0 + 2 * VIRTUAL);
    FloatVector a3 = Lanes.load(out, o0 + 3 * VIRTUAL);
    FloatVector b0 = Lanes.load(out, o1);
    FloatVector b1 = Lanes.load(out, o1 + VIRTUAL);
    FloatVector b2 = Lanes.load(out, o1 + 2 * VIRTUAL);
    FloatVector b3 = Lanes.load(out, o1 + 3 * VIRTUAL);
    for (int block = from; block < to; block++) {
      final long base = blocks[block] + offset;
      final int wa = w0 + (block - from) * BLOCK;
      final int wb = w1 + (block - from) * BLOCK;
      for (int pair = 0; pair < BLOCK / 2; pair++) {
        IntVector c =
            IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, base + pair * stride, LITTLE);
        FloatVector x = FloatVector.broadcast(Lanes.FLOAT, w[wa + 2 * pair]);
        FloatVector y = FloatVector.broadcast(Lanes.FLOAT, w[wb + 2 * pair]);
        FloatVector v0 = c.lanewise(LSHL, 19).and(mask).or(one).reinterpretAsFloats();
        a0 = v0.fma(x, a0);
        b0 = v0.fma(y, b0);
        FloatVector v1 = c.lanewise(LSHL, 15).and(mask).or(one).reinterpretAsFloats();
        a1 = v1.fma(x, a1);
        b1 = v1.fma(y, b1);
        FloatVector v2 = c.lanewise(LSHL, 11).and(mask).or(one).reinterpretAsFloats();
        a2 = v2.fma(x, a2);
        b2 = v2.fma(y, b2);
        FloatVector v3 = c.lanewise(LSHL, 7).and(mask).or(one).reinterpretAsFloats();
        a3 = v3.fma(x, a3);
        b3 = v3.fma(y, b3);
        x = FloatVector.broadcast(Lanes.FLOAT, w[wa + 2 * pair + 1]);
        y = FloatVector.broadcast(Lanes.FLOAT, w[wb + 2 * pair + 1]);
        FloatVector v4 = c.lanewise(LSHL, 3).and(mask).or(one).reinterpretAsFloats();
        a0 = v4.fma(x, a0);
        b0 = v4.fma(y, b0);
        FloatVector v5 = c.lanewise(LSHR, 1).and(mask).or(one).reinterpretAsFloats();
        a1 = v5.fma(x, a1);
        b1 = v5.fma(y, b1);
        FloatVector v6 = c.lanewise(LSHR, 5).and(mask).or(one).reinterpretAsFloats();
        a2 = v6.fma(x, a2);
        b2 = v6.fma(y, b2);
        FloatVector v7 = c.lanewise(LSHR, 9).and(mask).or(one).reinterpretAsFloats();
        a3 = v7.fma(x, a3);
        b3 = v7.fma(y, b3);
      }
    }
    a0.intoArray(out, o0);
    a1.intoArray(out, o0 + VIRTUAL);
    a2.intoArray(out, o0 + 2 * VIRTUAL);
    a3.intoArray(out, o0 + 3 * VIRTUAL);
    b0.intoArray(out, o1);
    b1.intoArray(out, o1 + VIRTUAL);
    b2.intoArray(out, o1 + 2 * VIRTUAL);
    b3.intoArray(out, o1 + 3 * VIRTUAL);
  }

  /** K of a head in a block, as [headDim][16] floats v at address out. */
  static void unpackKeys(long key, int headDim, long out) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BITS[0]);
    final IntVector one = IntVector.broadcast(Lanes.INT, BITS[1]);
    for (long part = 0; part < ROW; part += Lanes.COUNT * (long) Integer.BYTES) {
      for (int n = 0; n < headDim / KvLayout.WORD_DIMS; n++) {
        final long to = out + part + n * (long) KvLayout.WORD_DIMS * ROW;
        IntVector w =
            IntVector.fromMemorySegment(
                Lanes.INT, OffHeap.ALL, key + part + n * (long) ROW, LITTLE);
        w.lanewise(LSHL, 19)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, to + 0L * ROW, LITTLE);
        w.lanewise(LSHL, 15)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, to + 1L * ROW, LITTLE);
        w.lanewise(LSHL, 11)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, to + 2L * ROW, LITTLE);
        w.lanewise(LSHL, 7)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, to + 3L * ROW, LITTLE);
        w.lanewise(LSHL, 3)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, to + 4L * ROW, LITTLE);
        w.lanewise(LSHR, 1)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, to + 5L * ROW, LITTLE);
        w.lanewise(LSHR, 5)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, to + 6L * ROW, LITTLE);
        w.lanewise(LSHR, 9)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, to + 7L * ROW, LITTLE);
      }
    }
  }

  /**
   * A chunk of V of a block, as [16 tokens][64] floats v at address out, rows stride bytes apart.
   */
  static void unpackValues(long value, long pairStride, long out, long stride) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BITS[0]);
    final IntVector one = IntVector.broadcast(Lanes.INT, BITS[1]);
    for (long part = 0; part < ROW; part += Lanes.COUNT * (long) Integer.BYTES) {
      for (int pair = 0; pair < BLOCK / 2; pair++) {
        final long even = out + part + 2 * pair * stride;
        final long odd = even + stride;
        IntVector w =
            IntVector.fromMemorySegment(
                Lanes.INT, OffHeap.ALL, value + part + pair * pairStride, LITTLE);
        w.lanewise(LSHL, 19)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, even + 0L * ROW, LITTLE);
        w.lanewise(LSHL, 15)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, even + 1L * ROW, LITTLE);
        w.lanewise(LSHL, 11)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, even + 2L * ROW, LITTLE);
        w.lanewise(LSHL, 7)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, even + 3L * ROW, LITTLE);
        w.lanewise(LSHL, 3)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, odd + 0L * ROW, LITTLE);
        w.lanewise(LSHR, 1)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, odd + 1L * ROW, LITTLE);
        w.lanewise(LSHR, 5)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, odd + 2L * ROW, LITTLE);
        w.lanewise(LSHR, 9)
            .and(mask)
            .or(one)
            .reinterpretAsFloats()
            .intoMemorySegment(OffHeap.ALL, odd + 3L * ROW, LITTLE);
      }
    }
  }

  /** Turns a block's dots into scores: s_t = scale * (16 s * fma(-(1 + z / 16), sum q, dot)). */
  static void scale(long meta, float querySum, float scale, float[] scores, int at) {
    final FloatVector sum = FloatVector.broadcast(Lanes.FLOAT, querySum);
    for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
      IntVector m = load(meta + part * (long) Integer.BYTES);
      FloatVector dot = zero(m).neg().fma(sum, Lanes.load(scores, at + part));
      scales(m).mul(dot).mul(scale).intoArray(scores, at + part);
    }
  }

  /**
   * Turns a block's probabilities into weights w = p * 16 s and adds (1 + z / 16) w to zeros.
   *
   * @param seen tokens of the block that the query sees; the others' scales are left alone, which
   *     may be NaN
   */
  static void weights(long meta, float[] p, int at, float[] zeros, int seen) {
    for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
      IntVector m = load(meta + part * (long) Integer.BYTES);
      FloatVector w = Lanes.load(p, at + part).mul(scales(m));
      if (seen < VIRTUAL) {
        IntVector token = IntVector.zero(Lanes.INT).addIndex(1);
        w = w.reinterpretAsInts().blend(0, token.compare(GE, seen - part)).reinterpretAsFloats();
      }
      w.intoArray(p, at + part);
      zero(m).fma(w, Lanes.load(zeros, part)).intoArray(zeros, part);
    }
  }

  private static IntVector load(long address) {
    return IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, address, LITTLE);
  }

  /** 16 s; NaN where the scale is not finite, as slots of no token may have it too. */
  private static FloatVector scales(IntVector meta) {
    IntVector scales =
        meta.lanewise(LSHL, 13)
            .and(0x0fff_e000)
            .reinterpretAsFloats()
            .mul(SCALE)
            .reinterpretAsInts();
    return scales.blend(NAN, meta.and(0x7c00).compare(EQ, 0x7c00)).reinterpretAsFloats();
  }

  /** 1 + z / 16. */
  private static FloatVector zero(IntVector meta) {
    return meta.lanewise(LSHL, 3).and(BITS[0]).or(BITS[1]).reinterpretAsFloats();
  }
}

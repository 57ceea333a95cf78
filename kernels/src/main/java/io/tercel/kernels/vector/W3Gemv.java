package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.EightSum;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import org.jspecify.annotations.Nullable;

/**
 * One token through a 3-bit layer, and the definition of the arithmetic of such layers. Lanes are
 * output rows. For each group of 128 inputs, with v(k) = 1 + code(k) / 8, exactly:
 *
 * <pre>
 * even = fma(v(k), x(k), even)   k = 0, 2, .. 126     from 0
 * odd  = fma(v(k), x(k), odd)    k = 1, 3, .. 127     from 0
 * y    = fma(8 s, fma(-(1 + z / 8), sum x, even + odd), y)
 * </pre>
 *
 * groups ascending, y from 0, the bias added last, sum x by {@link EightSum}. No other order
 * exists: {@link W3Gemm} gives the same bits.
 *
 * <p>Speed. A field becomes v by a shift to the mantissa's top and {@code (field & mask) | 1.0f},
 * one vpternlogd; with the FMA that is three operations for 16 weights, and two tiles by two chains
 * hide the FMA's latency. The loop over words is the point: C2 schedules a straight-line body
 * breadth-first, all decoding before any FMA, and spills what does not fit. Twenty fields fit in 32
 * registers, and a loop's end is a wall that no decoding crosses. A straight-line prototype of 32
 * columns took 1.6 times as long from cache. The two tiles lie half the range apart: each is a
 * stream that the hardware's prefetcher follows from tile to tile, where neighbours end every few
 * kilobytes.
 */
public final class W3Gemv {
  // From an array: a vector constant that C2 can fold is broadcast anew at each use.
  private static final int[] BITS = {
    0x0070_0000, 0x3f80_0000, 0x0060_0000, 0x0018_0000, 0x0006_0000
  };

  /** fp16 bits moved up by 13 are a float too small by 2^112; the other 2^3 is the 8 of 8 s. */
  private static final float SCALE = 0x1p115f;

  private W3Gemv() {}

  /**
   * Rows [16 tileFrom, min(rows, 16 tileTo)) of y = W x + bias for one token.
   *
   * @param weights W3 blocks of a [rows, cols] matrix from {@code offset} on
   * @param token which of the prepared tokens
   * @param bias [rows] or null
   * @param y row r goes to {@code y[yOffset + r]}
   */
  public static void multiply(
      MemorySegment weights,
      long offset,
      int rows,
      int tileFrom,
      int tileTo,
      Activations x,
      int token,
      float @Nullable [] bias,
      float[] y,
      int yOffset,
      KernelScratch scratch) {
    int groups = x.groups();
    long base = OffHeap.address(weights, offset, W3Block.matrixBytes(rows, x.cols()));
    float[] lanes = scratch.lanes;
    int apart = Math.ceilDiv(tileTo - tileFrom, 2);
    for (int tile = tileFrom; tile < tileFrom + apart; tile++) {
      long first = base + W3Block.blockOffset(tile, 0, groups);
      // An odd last tile runs beside itself.
      boolean two = tile + apart < tileTo;
      long second = two ? first + W3Block.blockOffset(apart, 0, groups) : first;
      for (int part = 0; part < Lanes.VIRTUAL; part += Lanes.COUNT) {
        long bytes = (long) part * Integer.BYTES;
        twoTiles(
            first + bytes,
            second + bytes,
            groups,
            x.values(),
            token * x.stride(),
            x.sums(),
            token * groups,
            lanes,
            part);
      }
      store(lanes, 0, tile, rows, bias, y, yOffset);
      if (two) {
        store(lanes, Lanes.VIRTUAL, tile + apart, rows, bias, y, yOffset);
      }
    }
    Reference.reachabilityFence(weights);
  }

  private static void store(
      float[] lanes, int at, int tile, int rows, float @Nullable [] bias, float[] y, int yOffset) {
    int from = tile * W3Block.ROWS;
    int to = Math.min(from + W3Block.ROWS, rows);
    for (int r = from; r < to; r++) {
      float sum = lanes[at + r - from];
      y[yOffset + r] = bias == null ? sum : sum + bias[r];
    }
  }

  /**
   * One row of tiles at {@code first}, another at {@code second}; results to out[at], out[at + 16].
   */
  private static void twoTiles(
      long first,
      long second,
      int groups,
      float[] x,
      int xOffset,
      float[] sums,
      int sumOffset,
      float[] out,
      int at) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BITS[0]);
    final IntVector one = IntVector.broadcast(Lanes.INT, BITS[1]);
    final IntVector high = IntVector.broadcast(Lanes.INT, BITS[2]);
    final IntVector middle = IntVector.broadcast(Lanes.INT, BITS[3]);
    final IntVector low = IntVector.broadcast(Lanes.INT, BITS[4]);
    FloatVector y0 = FloatVector.zero(Lanes.FLOAT);
    FloatVector y1 = FloatVector.zero(Lanes.FLOAT);
    for (int g = 0; g < groups; g++) {
      final long block0 = first + g * (long) W3Block.BLOCK_BYTES;
      final long block1 = second + g * (long) W3Block.BLOCK_BYTES;
      final int group = xOffset + g * W3Block.GROUP;
      FloatVector even0 = FloatVector.zero(Lanes.FLOAT);
      FloatVector even1 = FloatVector.zero(Lanes.FLOAT);
      FloatVector odd0 = FloatVector.zero(Lanes.FLOAT);
      FloatVector odd1 = FloatVector.zero(Lanes.FLOAT);
      for (int n = 0; n < W3Block.WORDS; n++) {
        final long word = n * (long) W3Block.VECTOR_BYTES;
        final int k = group + n * W3Block.FIELDS;
        IntVector w0 =
            IntVector.fromMemorySegment(
                Lanes.INT, OffHeap.ALL, block0 + word, ByteOrder.LITTLE_ENDIAN);
        IntVector w1 =
            IntVector.fromMemorySegment(
                Lanes.INT, OffHeap.ALL, block1 + word, ByteOrder.LITTLE_ENDIAN);
        FloatVector x0 = FloatVector.broadcast(Lanes.FLOAT, x[k]);
        even0 = w0.lanewise(LSHL, 18).and(mask).or(one).reinterpretAsFloats().fma(x0, even0);
        even1 = w1.lanewise(LSHL, 18).and(mask).or(one).reinterpretAsFloats().fma(x0, even1);
        FloatVector x1 = FloatVector.broadcast(Lanes.FLOAT, x[k + 1]);
        odd0 = w0.lanewise(LSHL, 15).and(mask).or(one).reinterpretAsFloats().fma(x1, odd0);
        odd1 = w1.lanewise(LSHL, 15).and(mask).or(one).reinterpretAsFloats().fma(x1, odd1);
        FloatVector x2 = FloatVector.broadcast(Lanes.FLOAT, x[k + 2]);
        even0 = w0.lanewise(LSHL, 12).and(mask).or(one).reinterpretAsFloats().fma(x2, even0);
        even1 = w1.lanewise(LSHL, 12).and(mask).or(one).reinterpretAsFloats().fma(x2, even1);
        FloatVector x3 = FloatVector.broadcast(Lanes.FLOAT, x[k + 3]);
        odd0 = w0.lanewise(LSHL, 9).and(mask).or(one).reinterpretAsFloats().fma(x3, odd0);
        odd1 = w1.lanewise(LSHL, 9).and(mask).or(one).reinterpretAsFloats().fma(x3, odd1);
        FloatVector x4 = FloatVector.broadcast(Lanes.FLOAT, x[k + 4]);
        even0 = w0.lanewise(LSHL, 6).and(mask).or(one).reinterpretAsFloats().fma(x4, even0);
        even1 = w1.lanewise(LSHL, 6).and(mask).or(one).reinterpretAsFloats().fma(x4, even1);
        FloatVector x5 = FloatVector.broadcast(Lanes.FLOAT, x[k + 5]);
        odd0 = w0.lanewise(LSHL, 3).and(mask).or(one).reinterpretAsFloats().fma(x5, odd0);
        odd1 = w1.lanewise(LSHL, 3).and(mask).or(one).reinterpretAsFloats().fma(x5, odd1);
        FloatVector x6 = FloatVector.broadcast(Lanes.FLOAT, x[k + 6]);
        even0 = w0.and(mask).or(one).reinterpretAsFloats().fma(x6, even0);
        even1 = w1.and(mask).or(one).reinterpretAsFloats().fma(x6, even1);
        FloatVector x7 = FloatVector.broadcast(Lanes.FLOAT, x[k + 7]);
        odd0 = w0.lanewise(LSHR, 3).and(mask).or(one).reinterpretAsFloats().fma(x7, odd0);
        odd1 = w1.lanewise(LSHR, 3).and(mask).or(one).reinterpretAsFloats().fma(x7, odd1);
        FloatVector x8 = FloatVector.broadcast(Lanes.FLOAT, x[k + 8]);
        even0 = w0.lanewise(LSHR, 6).and(mask).or(one).reinterpretAsFloats().fma(x8, even0);
        even1 = w1.lanewise(LSHR, 6).and(mask).or(one).reinterpretAsFloats().fma(x8, even1);
        FloatVector x9 = FloatVector.broadcast(Lanes.FLOAT, x[k + 9]);
        odd0 = w0.lanewise(LSHR, 9).and(mask).or(one).reinterpretAsFloats().fma(x9, odd0);
        odd1 = w1.lanewise(LSHR, 9).and(mask).or(one).reinterpretAsFloats().fma(x9, odd1);
      }
      for (int p = 0; p < W3Block.WORDS / 3; p++) {
        final long words = p * 3L * W3Block.VECTOR_BYTES;
        final int k = group + W3Block.FIELD_COLUMNS + 2 * p;
        IntVector a0 =
            IntVector.fromMemorySegment(
                Lanes.INT, OffHeap.ALL, block0 + words, ByteOrder.LITTLE_ENDIAN);
        IntVector b0 =
            IntVector.fromMemorySegment(
                Lanes.INT,
                OffHeap.ALL,
                block0 + words + W3Block.VECTOR_BYTES,
                ByteOrder.LITTLE_ENDIAN);
        IntVector c0 =
            IntVector.fromMemorySegment(
                Lanes.INT,
                OffHeap.ALL,
                block0 + words + 2L * W3Block.VECTOR_BYTES,
                ByteOrder.LITTLE_ENDIAN);
        IntVector six0 =
            a0.lanewise(LSHL, 21)
                .and(high)
                .or(b0.lanewise(LSHL, 19).and(middle))
                .or(c0.lanewise(LSHL, 17).and(low));
        IntVector a1 =
            IntVector.fromMemorySegment(
                Lanes.INT, OffHeap.ALL, block1 + words, ByteOrder.LITTLE_ENDIAN);
        IntVector b1 =
            IntVector.fromMemorySegment(
                Lanes.INT,
                OffHeap.ALL,
                block1 + words + W3Block.VECTOR_BYTES,
                ByteOrder.LITTLE_ENDIAN);
        IntVector c1 =
            IntVector.fromMemorySegment(
                Lanes.INT,
                OffHeap.ALL,
                block1 + words + 2L * W3Block.VECTOR_BYTES,
                ByteOrder.LITTLE_ENDIAN);
        IntVector six1 =
            a1.lanewise(LSHL, 21)
                .and(high)
                .or(b1.lanewise(LSHL, 19).and(middle))
                .or(c1.lanewise(LSHL, 17).and(low));
        FloatVector x0 = FloatVector.broadcast(Lanes.FLOAT, x[k]);
        even0 = six0.and(mask).or(one).reinterpretAsFloats().fma(x0, even0);
        even1 = six1.and(mask).or(one).reinterpretAsFloats().fma(x0, even1);
        FloatVector x1 = FloatVector.broadcast(Lanes.FLOAT, x[k + 1]);
        odd0 = six0.lanewise(LSHL, 3).and(mask).or(one).reinterpretAsFloats().fma(x1, odd0);
        odd1 = six1.lanewise(LSHL, 3).and(mask).or(one).reinterpretAsFloats().fma(x1, odd1);
      }
      FloatVector sum = FloatVector.broadcast(Lanes.FLOAT, sums[sumOffset + g]);
      IntVector meta0 =
          IntVector.fromMemorySegment(
              Lanes.INT, OffHeap.ALL, block0 + W3Block.SCALES_OFFSET, ByteOrder.LITTLE_ENDIAN);
      FloatVector scale0 =
          meta0
              .lanewise(LSHL, 13)
              .and(0x0fff_e000)
              .or(meta0.lanewise(LSHL, 16).and(0x8000_0000))
              .reinterpretAsFloats()
              .mul(SCALE);
      FloatVector zero0 = meta0.lanewise(LSHL, 4).and(mask).or(one).reinterpretAsFloats().neg();
      y0 = scale0.fma(zero0.fma(sum, even0.add(odd0)), y0);
      IntVector meta1 =
          IntVector.fromMemorySegment(
              Lanes.INT, OffHeap.ALL, block1 + W3Block.SCALES_OFFSET, ByteOrder.LITTLE_ENDIAN);
      FloatVector scale1 =
          meta1
              .lanewise(LSHL, 13)
              .and(0x0fff_e000)
              .or(meta1.lanewise(LSHL, 16).and(0x8000_0000))
              .reinterpretAsFloats()
              .mul(SCALE);
      FloatVector zero1 = meta1.lanewise(LSHL, 4).and(mask).or(one).reinterpretAsFloats().neg();
      y1 = scale1.fma(zero1.fma(sum, even1.add(odd1)), y1);
    }
    y0.intoArray(out, at);
    y1.intoArray(out, at + Lanes.VIRTUAL);
  }
}

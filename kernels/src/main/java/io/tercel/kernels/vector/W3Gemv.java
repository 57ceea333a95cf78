package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import org.jspecify.annotations.Nullable;

/**
 * One token through a 3-bit layer. Lanes are output rows. The sums are integers, so their order is
 * free; {@code Ops.linear} says what is done with them.
 *
 * <p>Products are made two columns at a time in 16-bit halves of the lanes: masked by {@code
 * 0x00070007} a word gives the codes of columns k and k + 2, and one {@code int} broadcast the low
 * bytes of their inputs, another the high ones. A half takes 32 products of at most 7 * 128 before
 * it would overflow, which is half a group; then the halves are widened and added. With shift and
 * mask that is three operations for 16 weights, in vectors of any width, where products of ints
 * would take four or five, and floats another one without {@code vpternlogd}.
 *
 * <p>The loop over words is rolled: C2 schedules a straight-line body breadth-first and spills what
 * does not fit. The odd columns have a method of their own, since C2 boxes vectors in bodies past
 * its inlining budget (2.5 times the time, seen). Two tiles run side by side and share the inputs.
 * They lie half the range apart: each is a stream that the hardware's prefetcher follows from tile
 * to tile, where neighbours end every few kilobytes.
 */
final class W3Gemv {
  // From an array: a vector constant that C2 can fold is broadcast anew at each use.
  private static final int[] BITS = {0x0007_0007, 0x3030_3030, 0x0c0c_0c0c, 0x0303_0303};

  /** Words of half a group. */
  private static final int HALF = W3Block.WORDS / 2;

  private W3Gemv() {}

  /**
   * Rows [16 tileFrom, min(rows, 16 tileTo)) of y = W x + bias for one token.
   *
   * @param weights W3 blocks of a [rows, cols] matrix from {@code offset} on
   * @param x one token, arranged by {@link Rounding#pairs}
   * @param bias [rows] or null
   * @param y row r goes to {@code y[r]}
   */
  static void multiply(
      MemorySegment weights,
      long offset,
      int rows,
      int tileFrom,
      int tileTo,
      PreparedInput x,
      float @Nullable [] bias,
      float[] y,
      KernelScratch scratch) {
    int groups = x.groups();
    long base = OffHeap.address(weights, offset, W3Block.matrixBytes(rows, x.cols()));
    long meta = OffHeap.address(x.meta(), 0, (long) groups * PreparedInput.META_BYTES);
    int[] pairs = x.arrangedInts(groups * W3Block.GROUP);
    float[] lanes = scratch.lanes;
    int[] sums = scratch.sums(groups * 2 * Lanes.VIRTUAL);
    int apart = Math.ceilDiv(tileTo - tileFrom, 2);
    for (int tile = tileFrom; tile < tileFrom + apart; tile++) {
      long first = base + W3Block.blockOffset(tile, 0, groups);
      // An odd last tile runs beside itself.
      boolean two = tile + apart < tileTo;
      long second = two ? first + W3Block.blockOffset(apart, 0, groups) : first;
      for (int part = 0; part < Lanes.VIRTUAL; part += Lanes.COUNT) {
        words(first, second, part, groups, pairs, sums);
        sixes(first, second, part, groups, pairs, sums);
        finish(first, part, groups, meta, sums, part, lanes);
        finish(second, part, groups, meta, sums, Lanes.VIRTUAL + part, lanes);
      }
      store(lanes, 0, tile, rows, bias, y);
      if (two) {
        store(lanes, Lanes.VIRTUAL, tile + apart, rows, bias, y);
      }
    }
    Reference.reachabilityFence(weights);
    Reference.reachabilityFence(x);
  }

  private static void store(
      float[] lanes, int at, int tile, int rows, float @Nullable [] bias, float[] y) {
    int from = tile * W3Block.ROWS;
    int to = Math.min(from + W3Block.ROWS, rows);
    for (int r = from; r < to; r++) {
      float sum = lanes[at + r - from];
      y[r] = bias == null ? sum : sum + bias[r];
    }
  }

  /**
   * Lanes [part, part + COUNT) of two rows of blocks: what the twelve words hold whole, 96 of 128
   * columns. Sums of each group to sums[group][tile][16].
   */
  private static void words(
      long first, long second, int part, int groups, int[] pairs, int[] sums) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BITS[0]);
    final long lane = part * (long) Integer.BYTES;
    for (int g = 0; g < groups; g++) {
      final long block0 = first + lane + g * (long) W3Block.BLOCK_BYTES;
      final long block1 = second + lane + g * (long) W3Block.BLOCK_BYTES;
      IntVector sum0 = IntVector.zero(Lanes.INT);
      IntVector sum1 = IntVector.zero(Lanes.INT);
      for (int half = 0; half < W3Block.WORDS; half += HALF) {
        ShortVector low0 = ShortVector.zero(Lanes.SHORT);
        ShortVector low1 = ShortVector.zero(Lanes.SHORT);
        ShortVector high0 = ShortVector.zero(Lanes.SHORT);
        ShortVector high1 = ShortVector.zero(Lanes.SHORT);
        for (int n = half; n < half + HALF; n++) {
          final long word = n * (long) W3Block.WORD_BYTES;
          // eight columns a word, after those in the top bits of the triples before
          final int k = g * W3Block.GROUP + 8 * n + n / 3 * 8;
          IntVector w0 =
              IntVector.fromMemorySegment(
                  Lanes.INT, OffHeap.ALL, block0 + word, ByteOrder.LITTLE_ENDIAN);
          IntVector w1 =
              IntVector.fromMemorySegment(
                  Lanes.INT, OffHeap.ALL, block1 + word, ByteOrder.LITTLE_ENDIAN);
          ShortVector l00 = IntVector.broadcast(Lanes.INT, pairs[k + 0]).reinterpretAsShorts();
          ShortVector h00 = IntVector.broadcast(Lanes.INT, pairs[k + 2]).reinterpretAsShorts();
          ShortVector c00 = w0.and(mask).reinterpretAsShorts();
          ShortVector d00 = w1.and(mask).reinterpretAsShorts();
          low0 = low0.add(c00.mul(l00));
          high0 = high0.add(c00.mul(h00));
          low1 = low1.add(d00.mul(l00));
          high1 = high1.add(d00.mul(h00));
          ShortVector l01 = IntVector.broadcast(Lanes.INT, pairs[k + 1]).reinterpretAsShorts();
          ShortVector h01 = IntVector.broadcast(Lanes.INT, pairs[k + 3]).reinterpretAsShorts();
          ShortVector c01 = w0.lanewise(LSHR, 8).and(mask).reinterpretAsShorts();
          ShortVector d01 = w1.lanewise(LSHR, 8).and(mask).reinterpretAsShorts();
          low0 = low0.add(c01.mul(l01));
          high0 = high0.add(c01.mul(h01));
          low1 = low1.add(d01.mul(l01));
          high1 = high1.add(d01.mul(h01));
          ShortVector l10 = IntVector.broadcast(Lanes.INT, pairs[k + 4]).reinterpretAsShorts();
          ShortVector h10 = IntVector.broadcast(Lanes.INT, pairs[k + 6]).reinterpretAsShorts();
          ShortVector c10 = w0.lanewise(LSHR, 3).and(mask).reinterpretAsShorts();
          ShortVector d10 = w1.lanewise(LSHR, 3).and(mask).reinterpretAsShorts();
          low0 = low0.add(c10.mul(l10));
          high0 = high0.add(c10.mul(h10));
          low1 = low1.add(d10.mul(l10));
          high1 = high1.add(d10.mul(h10));
          ShortVector l11 = IntVector.broadcast(Lanes.INT, pairs[k + 5]).reinterpretAsShorts();
          ShortVector h11 = IntVector.broadcast(Lanes.INT, pairs[k + 7]).reinterpretAsShorts();
          ShortVector c11 = w0.lanewise(LSHR, 11).and(mask).reinterpretAsShorts();
          ShortVector d11 = w1.lanewise(LSHR, 11).and(mask).reinterpretAsShorts();
          low0 = low0.add(c11.mul(l11));
          high0 = high0.add(c11.mul(h11));
          low1 = low1.add(d11.mul(l11));
          high1 = high1.add(d11.mul(h11));
        }
        sum0 =
            sum0.add(
                low0.reinterpretAsInts()
                    .lanewise(LSHL, 16)
                    .lanewise(ASHR, 16)
                    .add(low0.reinterpretAsInts().lanewise(ASHR, 16)));
        sum1 =
            sum1.add(
                low1.reinterpretAsInts()
                    .lanewise(LSHL, 16)
                    .lanewise(ASHR, 16)
                    .add(low1.reinterpretAsInts().lanewise(ASHR, 16)));
        sum0 =
            sum0.add(
                (high0
                        .reinterpretAsInts()
                        .lanewise(LSHL, 16)
                        .lanewise(ASHR, 16)
                        .add(high0.reinterpretAsInts().lanewise(ASHR, 16)))
                    .lanewise(LSHL, 8));
        sum1 =
            sum1.add(
                (high1
                        .reinterpretAsInts()
                        .lanewise(LSHL, 16)
                        .lanewise(ASHR, 16)
                        .add(high1.reinterpretAsInts().lanewise(ASHR, 16)))
                    .lanewise(LSHL, 8));
      }
      sum0.intoArray(sums, g * 2 * Lanes.VIRTUAL + part);
      sum1.intoArray(sums, g * 2 * Lanes.VIRTUAL + Lanes.VIRTUAL + part);
    }
  }

  /**
   * Adds the other 32 columns, whose codes lie in the top bits of the words' bytes; those are in
   * the cache by now.
   */
  private static void sixes(
      long first, long second, int part, int groups, int[] pairs, int[] sums) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BITS[0]);
    final IntVector top = IntVector.broadcast(Lanes.INT, BITS[1]);
    final IntVector middle = IntVector.broadcast(Lanes.INT, BITS[2]);
    final IntVector bottom = IntVector.broadcast(Lanes.INT, BITS[3]);
    final long lane = part * (long) Integer.BYTES;
    for (int g = 0; g < groups; g++) {
      final long block0 = first + g * (long) W3Block.BLOCK_BYTES;
      final long block1 = second + g * (long) W3Block.BLOCK_BYTES;
      ShortVector low0 = ShortVector.zero(Lanes.SHORT);
      ShortVector low1 = ShortVector.zero(Lanes.SHORT);
      ShortVector high0 = ShortVector.zero(Lanes.SHORT);
      ShortVector high1 = ShortVector.zero(Lanes.SHORT);
      for (int t = 0; t < W3Block.TRIPLES; t++) {
        final long a = lane + t * 3L * W3Block.WORD_BYTES;
        final int k = g * W3Block.GROUP + t * W3Block.TRIPLE_COLUMNS + 24;
        IntVector six0 =
            IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, block0 + a, ByteOrder.LITTLE_ENDIAN)
                .lanewise(LSHR, 2)
                .and(top)
                .or(
                    IntVector.fromMemorySegment(
                            Lanes.INT,
                            OffHeap.ALL,
                            block0 + a + W3Block.WORD_BYTES,
                            ByteOrder.LITTLE_ENDIAN)
                        .lanewise(LSHR, 4)
                        .and(middle))
                .or(
                    IntVector.fromMemorySegment(
                            Lanes.INT,
                            OffHeap.ALL,
                            block0 + a + 2L * W3Block.WORD_BYTES,
                            ByteOrder.LITTLE_ENDIAN)
                        .lanewise(LSHR, 6)
                        .and(bottom));
        IntVector six1 =
            IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, block1 + a, ByteOrder.LITTLE_ENDIAN)
                .lanewise(LSHR, 2)
                .and(top)
                .or(
                    IntVector.fromMemorySegment(
                            Lanes.INT,
                            OffHeap.ALL,
                            block1 + a + W3Block.WORD_BYTES,
                            ByteOrder.LITTLE_ENDIAN)
                        .lanewise(LSHR, 4)
                        .and(middle))
                .or(
                    IntVector.fromMemorySegment(
                            Lanes.INT,
                            OffHeap.ALL,
                            block1 + a + 2L * W3Block.WORD_BYTES,
                            ByteOrder.LITTLE_ENDIAN)
                        .lanewise(LSHR, 6)
                        .and(bottom));
        ShortVector l00 = IntVector.broadcast(Lanes.INT, pairs[k + 0]).reinterpretAsShorts();
        ShortVector h00 = IntVector.broadcast(Lanes.INT, pairs[k + 2]).reinterpretAsShorts();
        ShortVector c00 = six0.and(mask).reinterpretAsShorts();
        ShortVector d00 = six1.and(mask).reinterpretAsShorts();
        low0 = low0.add(c00.mul(l00));
        high0 = high0.add(c00.mul(h00));
        low1 = low1.add(d00.mul(l00));
        high1 = high1.add(d00.mul(h00));
        ShortVector l01 = IntVector.broadcast(Lanes.INT, pairs[k + 1]).reinterpretAsShorts();
        ShortVector h01 = IntVector.broadcast(Lanes.INT, pairs[k + 3]).reinterpretAsShorts();
        ShortVector c01 = six0.lanewise(LSHR, 8).and(mask).reinterpretAsShorts();
        ShortVector d01 = six1.lanewise(LSHR, 8).and(mask).reinterpretAsShorts();
        low0 = low0.add(c01.mul(l01));
        high0 = high0.add(c01.mul(h01));
        low1 = low1.add(d01.mul(l01));
        high1 = high1.add(d01.mul(h01));
        ShortVector l10 = IntVector.broadcast(Lanes.INT, pairs[k + 4]).reinterpretAsShorts();
        ShortVector h10 = IntVector.broadcast(Lanes.INT, pairs[k + 6]).reinterpretAsShorts();
        ShortVector c10 = six0.lanewise(LSHR, 3).and(mask).reinterpretAsShorts();
        ShortVector d10 = six1.lanewise(LSHR, 3).and(mask).reinterpretAsShorts();
        low0 = low0.add(c10.mul(l10));
        high0 = high0.add(c10.mul(h10));
        low1 = low1.add(d10.mul(l10));
        high1 = high1.add(d10.mul(h10));
        ShortVector l11 = IntVector.broadcast(Lanes.INT, pairs[k + 5]).reinterpretAsShorts();
        ShortVector h11 = IntVector.broadcast(Lanes.INT, pairs[k + 7]).reinterpretAsShorts();
        ShortVector c11 = six0.lanewise(LSHR, 11).and(mask).reinterpretAsShorts();
        ShortVector d11 = six1.lanewise(LSHR, 11).and(mask).reinterpretAsShorts();
        low0 = low0.add(c11.mul(l11));
        high0 = high0.add(c11.mul(h11));
        low1 = low1.add(d11.mul(l11));
        high1 = high1.add(d11.mul(h11));
      }
      final int at = g * 2 * Lanes.VIRTUAL + part;
      IntVector.fromArray(Lanes.INT, sums, at)
          .add(
              low0.reinterpretAsInts()
                  .lanewise(LSHL, 16)
                  .lanewise(ASHR, 16)
                  .add(low0.reinterpretAsInts().lanewise(ASHR, 16)))
          .add(
              (high0
                      .reinterpretAsInts()
                      .lanewise(LSHL, 16)
                      .lanewise(ASHR, 16)
                      .add(high0.reinterpretAsInts().lanewise(ASHR, 16)))
                  .lanewise(LSHL, 8))
          .intoArray(sums, at);
      IntVector.fromArray(Lanes.INT, sums, at + Lanes.VIRTUAL)
          .add(
              low1.reinterpretAsInts()
                  .lanewise(LSHL, 16)
                  .lanewise(ASHR, 16)
                  .add(low1.reinterpretAsInts().lanewise(ASHR, 16)))
          .add(
              (high1
                      .reinterpretAsInts()
                      .lanewise(LSHL, 16)
                      .lanewise(ASHR, 16)
                      .add(high1.reinterpretAsInts().lanewise(ASHR, 16)))
                  .lanewise(LSHL, 8))
          .intoArray(sums, at + Lanes.VIRTUAL);
    }
  }

  /** One tile's sums in sums[group][..][at..] with scales and zero points; to out[part]. */
  private static void finish(
      long tile, int part, int groups, long meta, int[] sums, int at, float[] out) {
    FloatVector y = FloatVector.zero(Lanes.FLOAT);
    for (int g = 0; g < groups; g++) {
      final long block = tile + g * (long) W3Block.BLOCK_BYTES;
      final long group = meta + (long) g * PreparedInput.META_BYTES;
      final float scale = OffHeap.ALL.get(OffHeap.FLOAT, group);
      final int codes = OffHeap.ALL.get(OffHeap.INT, group + Float.BYTES);
      IntVector sum =
          IntVector.fromArray(Lanes.INT, sums, g * 2 * Lanes.VIRTUAL + at)
              .sub(W3Meta.zeros(block, part).mul(codes));
      y = ((FloatVector) sum.convert(I2F, 0)).fma(W3Meta.scales(block, part).mul(scale), y);
    }
    y.intoArray(out, at);
  }
}

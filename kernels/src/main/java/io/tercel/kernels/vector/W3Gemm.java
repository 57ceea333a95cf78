package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import org.jspecify.annotations.Nullable;

/**
 * Many tokens through a 3-bit layer, to the same bits as {@link W3Gemv}. A group of four tiles is
 * expanded once into floats code - zero (32 KiB of aligned off-heap scratch, which stays in the
 * first-level cache; a float[] lies where the collector puts it), then every four tokens pass over
 * it in a micro-kernel of 16 accumulators. Floats are the fast integers here: within half a group
 * sums of products stay below 64 * 7 * 32,639 &lt; 2^24, so every fma is exact, and so the sum of
 * both halves is rounded once, as the contract says.
 */
final class W3Gemm {
  private static final int SIDE = KernelScratch.SIDE;
  private static final int VIRTUAL = Lanes.VIRTUAL;

  /** Columns whose sum is exact in a float. */
  private static final int HALF = W3Block.GROUP / 2;

  /** Floats of one expanded column of four tiles. */
  private static final int COLUMN = SIDE * VIRTUAL;

  private static final long COLUMN_BYTES = COLUMN * (long) Float.BYTES;

  // From an array: a vector constant that C2 can fold is broadcast anew at each use.
  private static final int[] CODE = {7};

  private W3Gemm() {}

  /**
   * Rows [16 tileFrom, min(rows, 16 tileTo)) of y = W x + bias for all tokens.
   *
   * @param weights W3 blocks of a [rows, cols] matrix from {@code offset} on
   * @param x several tokens, arranged by {@link Rounding#floats}
   * @param bias [rows] or null
   * @param y token t's row r goes to {@code y[t * rows + r]}
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
    int tokens = x.tokens();
    long base = OffHeap.address(weights, offset, W3Block.matrixBytes(rows, x.cols()));
    long metaBytes = (long) groups * tokens * PreparedInput.META_BYTES;
    long meta = OffHeap.address(x.meta(), 0, metaBytes);
    float[] codes = x.arranged(tokens * groups * W3Block.GROUP);
    float[] outputs = scratch.outputs(tokens);
    for (int tile = tileFrom; tile < tileTo; tile += SIDE) {
      int tiles = Math.min(SIDE, tileTo - tile);
      Arrays.fill(outputs, 0, tokens * COLUMN, 0f);
      for (int g = 0; g < groups; g++) {
        for (int i = 0; i < tiles; i++) {
          long block = base + W3Block.blockOffset(tile + i, g, groups);
          for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
            expand(block, part, scratch, i * VIRTUAL + part);
          }
        }
        group(scratch, codes, g, groups, tokens, meta);
      }
      store(outputs, tile, tiles, rows, tokens, bias, y);
    }
    Reference.reachabilityFence(weights);
    Reference.reachabilityFence(x);
    Reference.reachabilityFence(scratch);
  }

  /** One expanded group by all tokens. */
  private static void group(
      KernelScratch scratch, float[] codes, int g, int groups, int tokens, long meta) {
    int stride = groups * W3Block.GROUP;
    int k = g * W3Block.GROUP;
    for (int t = 0; t < tokens; t += SIDE) {
      int last = Math.min(t + SIDE, tokens) - 1; // stands in for tokens past the end
      int t0 = t * stride + k;
      int t1 = Math.min(t + 1, last) * stride + k;
      int t2 = Math.min(t + 2, last) * stride + k;
      int t3 = last * stride + k;
      for (int half = 0; half < 2; half++) {
        long v = scratch.expanded + half * HALF * COLUMN_BYTES;
        int in = half * HALF;
        int out = half * SIDE * COLUMN;
        for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
          chain(
              v + part * (long) Float.BYTES,
              codes,
              t0 + in,
              t1 + in,
              t2 + in,
              t3 + in,
              scratch.chains,
              out + part);
        }
      }
      for (int i = t; i <= last; i++) {
        long at = meta + ((long) g * tokens + i) * PreparedInput.META_BYTES;
        finish(scratch, (i - t) * COLUMN, OffHeap.ALL.get(OffHeap.FLOAT, at), i * COLUMN);
      }
    }
  }

  private static void store(
      float[] outputs,
      int tile,
      int tiles,
      int rows,
      int tokens,
      float @Nullable [] bias,
      float[] y) {
    int from = tile * W3Block.ROWS;
    int to = Math.min((tile + tiles) * W3Block.ROWS, rows);
    for (int t = 0; t < tokens; t++) {
      int in = t * COLUMN - from;
      for (int r = from; r < to; r++) {
        y[t * rows + r] = bias == null ? outputs[in + r] : outputs[in + r] + bias[r];
      }
    }
  }

  /** Lanes [part, part + COUNT) of one block into their place: code - zero of each column. */
  private static void expand(long block, int part, KernelScratch scratch, int at) {
    final long out = scratch.expanded + at * (long) Float.BYTES;
    words(block, part, out);
    sixes(block, part, out);
    W3Meta.scales(block, part).intoArray(scratch.scales, at);
  }

  /** The columns that the twelve words hold whole, eight a word. */
  private static void words(long block, int part, long out) {
    final IntVector seven = IntVector.broadcast(Lanes.INT, CODE[0]);
    final IntVector zeros = W3Meta.zeros(block, part);
    final long lane = block + part * (long) Integer.BYTES;
    for (int n = 0; n < W3Block.WORDS; n++) {
      // after those in the top bits of the triples before
      final long column = out + (8 * n + n / 3 * 8) * COLUMN_BYTES;
      IntVector w =
          IntVector.fromMemorySegment(
              Lanes.INT,
              OffHeap.ALL,
              lane + n * (long) W3Block.WORD_BYTES,
              ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) w.and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) w.lanewise(LSHR, 8).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) w.lanewise(LSHR, 16).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 2 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) w.lanewise(LSHR, 24).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 3 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) w.lanewise(LSHR, 3).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 4 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) w.lanewise(LSHR, 11).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 5 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) w.lanewise(LSHR, 19).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 6 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) w.lanewise(LSHR, 27).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 7 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
    }
  }

  /** The columns in the top bits of the words' bytes, eight a triple. */
  private static void sixes(long block, int part, long out) {
    final IntVector seven = IntVector.broadcast(Lanes.INT, CODE[0]);
    final IntVector zeros = W3Meta.zeros(block, part);
    final long lane = block + part * (long) Integer.BYTES;
    for (int t = 0; t < W3Block.TRIPLES; t++) {
      final long column = out + (t * W3Block.TRIPLE_COLUMNS + 24) * COLUMN_BYTES;
      final long word = lane + t * 3L * W3Block.WORD_BYTES;
      IntVector a =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, word, ByteOrder.LITTLE_ENDIAN);
      IntVector b =
          IntVector.fromMemorySegment(
              Lanes.INT, OffHeap.ALL, word + W3Block.WORD_BYTES, ByteOrder.LITTLE_ENDIAN);
      IntVector c =
          IntVector.fromMemorySegment(
              Lanes.INT, OffHeap.ALL, word + 2L * W3Block.WORD_BYTES, ByteOrder.LITTLE_ENDIAN);
      IntVector six =
          a.lanewise(LSHR, 2)
              .and(0x3030_3030)
              .or(b.lanewise(LSHR, 4).and(0x0c0c_0c0c))
              .or(c.lanewise(LSHR, 6).and(0x0303_0303));
      ((FloatVector) six.and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) six.lanewise(LSHR, 8).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) six.lanewise(LSHR, 16).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 2 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) six.lanewise(LSHR, 24).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 3 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) six.lanewise(LSHR, 3).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 4 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) six.lanewise(LSHR, 11).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 5 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) six.lanewise(LSHR, 19).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 6 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      ((FloatVector) six.lanewise(LSHR, 27).and(seven).sub(zeros).convert(I2F, 0))
          .intoMemorySegment(OffHeap.ALL, column + 7 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
    }
  }

  /**
   * Half a group: 64 columns of the four tiles at address v by the four tokens whose inputs begin
   * at x0 .. x3.
   */
  private static void chain(
      long v, float[] x, int x0, int x1, int x2, int x3, float[] out, int at) {
    FloatVector a00 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a01 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a02 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a03 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a10 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a11 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a12 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a13 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a20 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a21 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a22 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a23 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a30 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a31 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a32 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a33 = FloatVector.zero(Lanes.FLOAT);
    for (int k = 0; k < HALF; k++) {
      final long column = v + k * COLUMN_BYTES;
      FloatVector v0 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, column, ByteOrder.LITTLE_ENDIAN);
      FloatVector v1 =
          FloatVector.fromMemorySegment(
              Lanes.FLOAT, OffHeap.ALL, column + W3Block.WORD_BYTES, ByteOrder.LITTLE_ENDIAN);
      FloatVector v2 =
          FloatVector.fromMemorySegment(
              Lanes.FLOAT, OffHeap.ALL, column + 2L * W3Block.WORD_BYTES, ByteOrder.LITTLE_ENDIAN);
      FloatVector v3 =
          FloatVector.fromMemorySegment(
              Lanes.FLOAT, OffHeap.ALL, column + 3L * W3Block.WORD_BYTES, ByteOrder.LITTLE_ENDIAN);
      FloatVector b0 = FloatVector.broadcast(Lanes.FLOAT, x[x0 + k]);
      a00 = v0.fma(b0, a00);
      a01 = v1.fma(b0, a01);
      a02 = v2.fma(b0, a02);
      a03 = v3.fma(b0, a03);
      FloatVector b1 = FloatVector.broadcast(Lanes.FLOAT, x[x1 + k]);
      a10 = v0.fma(b1, a10);
      a11 = v1.fma(b1, a11);
      a12 = v2.fma(b1, a12);
      a13 = v3.fma(b1, a13);
      FloatVector b2 = FloatVector.broadcast(Lanes.FLOAT, x[x2 + k]);
      a20 = v0.fma(b2, a20);
      a21 = v1.fma(b2, a21);
      a22 = v2.fma(b2, a22);
      a23 = v3.fma(b2, a23);
      FloatVector b3 = FloatVector.broadcast(Lanes.FLOAT, x[x3 + k]);
      a30 = v0.fma(b3, a30);
      a31 = v1.fma(b3, a31);
      a32 = v2.fma(b3, a32);
      a33 = v3.fma(b3, a33);
    }
    a00.intoArray(out, at);
    a01.intoArray(out, at + VIRTUAL);
    a02.intoArray(out, at + 2 * VIRTUAL);
    a03.intoArray(out, at + 3 * VIRTUAL);
    a10.intoArray(out, at + 4 * VIRTUAL);
    a11.intoArray(out, at + 5 * VIRTUAL);
    a12.intoArray(out, at + 6 * VIRTUAL);
    a13.intoArray(out, at + 7 * VIRTUAL);
    a20.intoArray(out, at + 8 * VIRTUAL);
    a21.intoArray(out, at + 9 * VIRTUAL);
    a22.intoArray(out, at + 10 * VIRTUAL);
    a23.intoArray(out, at + 11 * VIRTUAL);
    a30.intoArray(out, at + 12 * VIRTUAL);
    a31.intoArray(out, at + 13 * VIRTUAL);
    a32.intoArray(out, at + 14 * VIRTUAL);
    a33.intoArray(out, at + 15 * VIRTUAL);
  }

  /** One group of one token: both halves, at {@code from}, into the outputs at {@code to}. */
  private static void finish(KernelScratch scratch, int from, float inputScale, int to) {
    final float[] chains = scratch.chains;
    final float[] scales = scratch.scales;
    final float[] outputs = scratch.outputs;
    for (int i = 0; i < COLUMN; i += Lanes.COUNT) {
      FloatVector first = FloatVector.fromArray(Lanes.FLOAT, chains, from + i);
      FloatVector second = FloatVector.fromArray(Lanes.FLOAT, chains, SIDE * COLUMN + from + i);
      FloatVector scale = FloatVector.fromArray(Lanes.FLOAT, scales, i).mul(inputScale);
      FloatVector y = FloatVector.fromArray(Lanes.FLOAT, outputs, to + i);
      first.add(second).fma(scale, y).intoArray(outputs, to + i);
    }
  }
}

package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.format.W3Block;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import org.jspecify.annotations.Nullable;

/**
 * Many tokens through a 3-bit layer, to the same bits as {@link W3Gemv}. A group of four tiles is
 * expanded once into v = 1 + code / 8 (32 KiB of aligned off-heap scratch, which stays in the
 * first-level cache; a float[] lies where the collector puts it), then every four tokens pass over
 * it in a micro-kernel of 16 accumulators: the even chain first, then the odd one. Scales are never
 * multiplied in.
 */
public final class W3Gemm {
  private static final int SIDE = KernelScratch.SIDE;
  private static final int VIRTUAL = Lanes.VIRTUAL;

  /** Floats of one expanded column of four tiles. */
  private static final int COLUMN = SIDE * VIRTUAL;

  /** Floats of one parity's columns. */
  private static final int CHAIN = W3Block.GROUP / 2 * COLUMN;

  private static final long COLUMN_BYTES = COLUMN * (long) Float.BYTES;
  private static final long CHAIN_BYTES = CHAIN * (long) Float.BYTES;

  private static final int[] BITS = {0x0070_0000, 0x3f80_0000};
  private static final float SCALE = 0x1p115f;

  private W3Gemm() {}

  /**
   * Rows [16 tileFrom, min(rows, 16 tileTo)) of y = W x + bias for tokens [tokenFrom, tokenFrom +
   * tokens).
   *
   * @param weights W3 blocks of a [rows, cols] matrix from {@code offset} on
   * @param bias [rows] or null
   * @param y token t's row r goes to {@code y[yOffset + (t - tokenFrom) * yStride + r]}
   */
  public static void multiply(
      MemorySegment weights,
      long offset,
      int rows,
      int tileFrom,
      int tileTo,
      Activations x,
      int tokenFrom,
      int tokens,
      float @Nullable [] bias,
      float[] y,
      int yOffset,
      int yStride,
      KernelScratch scratch) {
    if (tokens == 1) { // a third of the time: nothing is expanded for one reader
      W3Gemv.multiply(
          weights, offset, rows, tileFrom, tileTo, x, tokenFrom, bias, y, yOffset, scratch);
      return;
    }
    int groups = x.groups();
    long base = OffHeap.address(weights, offset, W3Block.matrixBytes(rows, x.cols()));
    float[] outputs = scratch.outputs(tokens);
    for (int tile = tileFrom; tile < tileTo; tile += SIDE) {
      int tiles = Math.min(SIDE, tileTo - tile);
      Arrays.fill(outputs, 0, tokens * COLUMN, 0f);
      for (int g = 0; g < groups; g++) {
        for (int i = 0; i < tiles; i++) {
          long block = base + W3Block.blockOffset(tile + i, g, groups);
          for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
            expand(block + part * (long) Integer.BYTES, scratch, i * VIRTUAL + part);
          }
        }
        for (int t = 0; t < tokens; t += SIDE) {
          int last = Math.min(t + SIDE, tokens) - 1; // stands in for tokens past the end
          int t0 = tokenFrom + t;
          int t1 = tokenFrom + Math.min(t + 1, last);
          int t2 = tokenFrom + Math.min(t + 2, last);
          int t3 = tokenFrom + last;
          int k = g * W3Block.GROUP;
          int s = x.stride();
          for (int chain = 0; chain < 2; chain++) {
            for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
              chain(
                  scratch.expanded + (chain * CHAIN + part) * (long) Float.BYTES,
                  x.values(),
                  t0 * s + k + chain,
                  t1 * s + k + chain,
                  t2 * s + k + chain,
                  t3 * s + k + chain,
                  scratch.chains,
                  chain * SIDE * COLUMN + part);
            }
          }
          for (int i = t; i <= last; i++) {
            finish(scratch, (i - t) * COLUMN, x.sums()[(tokenFrom + i) * groups + g], i * COLUMN);
          }
        }
      }
      int from = tile * W3Block.ROWS;
      int to = Math.min((tile + tiles) * W3Block.ROWS, rows);
      for (int t = 0; t < tokens; t++) {
        int out = yOffset + t * yStride;
        int in = t * COLUMN - from;
        for (int r = from; r < to; r++) {
          y[out + r] = bias == null ? outputs[in + r] : outputs[in + r] + bias[r];
        }
      }
    }
    Reference.reachabilityFence(weights);
    Reference.reachabilityFence(scratch);
  }

  /** One block into its tile's place: v of column k, 8 s and -(1 + z / 8). */
  private static void expand(long block, KernelScratch scratch, int at) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BITS[0]);
    final IntVector one = IntVector.broadcast(Lanes.INT, BITS[1]);
    final long out = scratch.expanded + at * (long) Float.BYTES;
    for (int n = 0; n < W3Block.WORDS; n++) {
      final long even = out + n * (W3Block.FIELDS / 2L * COLUMN_BYTES);
      final long odd = even + CHAIN_BYTES;
      IntVector w =
          IntVector.fromMemorySegment(
              Lanes.INT,
              OffHeap.ALL,
              block + n * (long) W3Block.VECTOR_BYTES,
              ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHL, 18)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, even, ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHL, 15)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, odd, ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHL, 12)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, even + COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHL, 9)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, odd + COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHL, 6)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, even + 2 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHL, 3)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, odd + 2 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      w.and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, even + 3 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHR, 3)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, odd + 3 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHR, 6)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, even + 4 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
      w.lanewise(LSHR, 9)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, odd + 4 * COLUMN_BYTES, ByteOrder.LITTLE_ENDIAN);
    }
    for (int p = 0; p < W3Block.WORDS / 3; p++) {
      final long words = block + p * 3L * W3Block.VECTOR_BYTES;
      final long even = out + (W3Block.FIELD_COLUMNS / 2 + p) * COLUMN_BYTES;
      IntVector a =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, words, ByteOrder.LITTLE_ENDIAN);
      IntVector b =
          IntVector.fromMemorySegment(
              Lanes.INT, OffHeap.ALL, words + W3Block.VECTOR_BYTES, ByteOrder.LITTLE_ENDIAN);
      IntVector c =
          IntVector.fromMemorySegment(
              Lanes.INT, OffHeap.ALL, words + 2L * W3Block.VECTOR_BYTES, ByteOrder.LITTLE_ENDIAN);
      IntVector six =
          a.lanewise(LSHL, 21)
              .and(0x0060_0000)
              .or(b.lanewise(LSHL, 19).and(0x0018_0000))
              .or(c.lanewise(LSHL, 17).and(0x0006_0000));
      six.and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, even, ByteOrder.LITTLE_ENDIAN);
      six.lanewise(LSHL, 3)
          .and(mask)
          .or(one)
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, even + CHAIN_BYTES, ByteOrder.LITTLE_ENDIAN);
    }
    IntVector meta =
        IntVector.fromMemorySegment(
            Lanes.INT, OffHeap.ALL, block + W3Block.SCALES_OFFSET, ByteOrder.LITTLE_ENDIAN);
    meta.lanewise(LSHL, 13)
        .and(0x0fff_e000)
        .or(meta.lanewise(LSHL, 16).and(0x8000_0000))
        .reinterpretAsFloats()
        .mul(SCALE)
        .intoArray(scratch.scales, at);
    meta.lanewise(LSHL, 4)
        .and(mask)
        .or(one)
        .reinterpretAsFloats()
        .neg()
        .intoArray(scratch.scales, COLUMN + at);
  }

  /**
   * 64 columns of one parity: the four tiles at address v by the four tokens whose inputs begin at
   * x0 .. x3.
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
    for (int k = 0; k < W3Block.GROUP / 2; k++) {
      final long column = v + k * COLUMN_BYTES;
      FloatVector v0 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, column, ByteOrder.LITTLE_ENDIAN);
      FloatVector v1 =
          FloatVector.fromMemorySegment(
              Lanes.FLOAT, OffHeap.ALL, column + W3Block.VECTOR_BYTES, ByteOrder.LITTLE_ENDIAN);
      FloatVector v2 =
          FloatVector.fromMemorySegment(
              Lanes.FLOAT,
              OffHeap.ALL,
              column + 2L * W3Block.VECTOR_BYTES,
              ByteOrder.LITTLE_ENDIAN);
      FloatVector v3 =
          FloatVector.fromMemorySegment(
              Lanes.FLOAT,
              OffHeap.ALL,
              column + 3L * W3Block.VECTOR_BYTES,
              ByteOrder.LITTLE_ENDIAN);
      FloatVector b0 = FloatVector.broadcast(Lanes.FLOAT, x[x0 + 2 * k]);
      a00 = v0.fma(b0, a00);
      a01 = v1.fma(b0, a01);
      a02 = v2.fma(b0, a02);
      a03 = v3.fma(b0, a03);
      FloatVector b1 = FloatVector.broadcast(Lanes.FLOAT, x[x1 + 2 * k]);
      a10 = v0.fma(b1, a10);
      a11 = v1.fma(b1, a11);
      a12 = v2.fma(b1, a12);
      a13 = v3.fma(b1, a13);
      FloatVector b2 = FloatVector.broadcast(Lanes.FLOAT, x[x2 + 2 * k]);
      a20 = v0.fma(b2, a20);
      a21 = v1.fma(b2, a21);
      a22 = v2.fma(b2, a22);
      a23 = v3.fma(b2, a23);
      FloatVector b3 = FloatVector.broadcast(Lanes.FLOAT, x[x3 + 2 * k]);
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

  /** One group of one token: the chains at {@code from} into the outputs at {@code to}. */
  private static void finish(KernelScratch scratch, int from, float sum, int to) {
    final float[] chains = scratch.chains;
    final float[] scales = scratch.scales;
    final float[] outputs = scratch.outputs;
    FloatVector sums = FloatVector.broadcast(Lanes.FLOAT, sum);
    for (int i = 0; i < COLUMN; i += Lanes.COUNT) {
      FloatVector even = FloatVector.fromArray(Lanes.FLOAT, chains, from + i);
      FloatVector odd = FloatVector.fromArray(Lanes.FLOAT, chains, SIDE * COLUMN + from + i);
      FloatVector scale = FloatVector.fromArray(Lanes.FLOAT, scales, i);
      FloatVector zero = FloatVector.fromArray(Lanes.FLOAT, scales, COLUMN + i);
      FloatVector y = FloatVector.fromArray(Lanes.FLOAT, outputs, to + i);
      scale.fma(zero.fma(sums, even.add(odd)), y).intoArray(outputs, to + i);
    }
  }
}

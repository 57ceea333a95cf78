package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.LSHL;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import org.jspecify.annotations.Nullable;

/**
 * One token through a dense layer, and the definition of the arithmetic of such layers. Lanes are
 * columns: a dot product has 16 partial sums whatever the hardware,
 *
 * <pre>
 * 16-bit  blocks of 32 columns ascending: lane[i] = fma(w(2i), x(2i), lane[i]),
 *                              then       lane[i] = fma(w(2i+1), x(2i+1), lane[i])
 * FP32    blocks of 16 columns ascending: lane[i] = fma(w(i), x(i), lane[i])
 * tail    column i after the last whole block: lane[i % 16] = fma(w, x, lane[i % 16])
 * </pre>
 *
 * added by {@link LaneSum#tree}, the bias last. {@link DenseGemm} gives the same bits. Eight rows
 * run side by side: they share the inputs and hide the FMA's latency. They lie an eighth of the
 * range apart, so that each is a stream of memory that goes on from row to row: of neighbours the
 * hardware's prefetcher would lose each one after a row.
 */
final class DenseGemv {
  private static final int VIRTUAL = Lanes.VIRTUAL;
  private static final int ROWS = 8;

  private DenseGemv() {}

  /**
   * Rows [rowFrom, rowTo) of y = W x + bias for one token.
   *
   * @param weights row-major [rows, cols] from {@code offset} on, cols as prepared in {@code x}
   * @param x one token, prepared as {@link DenseInput} does for this format
   * @param bias [rows] or null
   * @param y row r goes to {@code y[yOffset + r]}
   */
  static void multiply(
      Dense format,
      MemorySegment weights,
      long offset,
      int rowFrom,
      int rowTo,
      PreparedInput x,
      float @Nullable [] bias,
      float[] y,
      int yOffset,
      KernelScratch scratch) {
    long base = OffHeap.address(weights, offset, format.bytes(rowTo, x.cols()));
    float[] lanes = scratch.lanes;
    int cols = x.cols();
    int whole = cols - cols % DenseRow.blockColumns(format);
    long rowBytes = (long) cols * format.elementBytes();
    float[] values = DenseInput.values(format, x);
    int apart = Math.ceilDiv(rowTo - rowFrom, ROWS);
    for (int row = rowFrom; row < rowFrom + apart; row++) {
      int extra = (rowTo - 1 - row) / apart; // the last stream stands in for those past the end
      long first = base + row * rowBytes;
      long stride = apart * rowBytes;
      for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
        long b = first + part * (long) Integer.BYTES;
        switch (format) {
          case BF16 -> bf16(b, stride, extra, whole, values, part, lanes, part);
          case FP16 -> fp16(b, stride, extra, whole, values, part, lanes, part);
          case FP32 -> fp32(b, stride, extra, whole, values, part, lanes, part);
        }
      }
      for (int i = 0; i <= extra; i++) {
        int r = row + i * apart;
        int at = i * VIRTUAL;
        DenseRow.tail(format, base + r * rowBytes, whole, cols, values, 0, lanes, at);
        float sum = LaneSum.tree(lanes, at);
        y[yOffset + r] = bias == null ? sum : sum + bias[r];
      }
    }
    Reference.reachabilityFence(weights);
  }

  /** A bf16 is the upper half of a float. */
  private static void bf16(
      long row, long stride, int extra, int whole, float[] x, int xOffset, float[] out, int at) {
    final long r0 = row;
    final long r1 = row + Math.min(extra, 1) * stride;
    final long r2 = row + Math.min(extra, 2) * stride;
    final long r3 = row + Math.min(extra, 3) * stride;
    final long r4 = row + Math.min(extra, 4) * stride;
    final long r5 = row + Math.min(extra, 5) * stride;
    final long r6 = row + Math.min(extra, 6) * stride;
    final long r7 = row + Math.min(extra, 7) * stride;
    FloatVector a0 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a1 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a2 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a3 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a4 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a5 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a6 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a7 = FloatVector.zero(Lanes.FLOAT);
    for (int k = 0; k < whole; k += DenseInput.PAIRED_BLOCK) {
      final long b = 2L * k;
      FloatVector even = FloatVector.fromArray(Lanes.FLOAT, x, xOffset + k);
      FloatVector odd = FloatVector.fromArray(Lanes.FLOAT, x, xOffset + k + VIRTUAL);
      IntVector w0 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r0 + b, ByteOrder.LITTLE_ENDIAN);
      a0 = w0.lanewise(LSHL, 16).reinterpretAsFloats().fma(even, a0);
      IntVector w1 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r1 + b, ByteOrder.LITTLE_ENDIAN);
      a1 = w1.lanewise(LSHL, 16).reinterpretAsFloats().fma(even, a1);
      IntVector w2 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r2 + b, ByteOrder.LITTLE_ENDIAN);
      a2 = w2.lanewise(LSHL, 16).reinterpretAsFloats().fma(even, a2);
      IntVector w3 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r3 + b, ByteOrder.LITTLE_ENDIAN);
      a3 = w3.lanewise(LSHL, 16).reinterpretAsFloats().fma(even, a3);
      IntVector w4 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r4 + b, ByteOrder.LITTLE_ENDIAN);
      a4 = w4.lanewise(LSHL, 16).reinterpretAsFloats().fma(even, a4);
      IntVector w5 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r5 + b, ByteOrder.LITTLE_ENDIAN);
      a5 = w5.lanewise(LSHL, 16).reinterpretAsFloats().fma(even, a5);
      IntVector w6 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r6 + b, ByteOrder.LITTLE_ENDIAN);
      a6 = w6.lanewise(LSHL, 16).reinterpretAsFloats().fma(even, a6);
      IntVector w7 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r7 + b, ByteOrder.LITTLE_ENDIAN);
      a7 = w7.lanewise(LSHL, 16).reinterpretAsFloats().fma(even, a7);
      a0 = w0.and(0xffff_0000).reinterpretAsFloats().fma(odd, a0);
      a1 = w1.and(0xffff_0000).reinterpretAsFloats().fma(odd, a1);
      a2 = w2.and(0xffff_0000).reinterpretAsFloats().fma(odd, a2);
      a3 = w3.and(0xffff_0000).reinterpretAsFloats().fma(odd, a3);
      a4 = w4.and(0xffff_0000).reinterpretAsFloats().fma(odd, a4);
      a5 = w5.and(0xffff_0000).reinterpretAsFloats().fma(odd, a5);
      a6 = w6.and(0xffff_0000).reinterpretAsFloats().fma(odd, a6);
      a7 = w7.and(0xffff_0000).reinterpretAsFloats().fma(odd, a7);
    }
    a0.intoArray(out, at);
    a1.intoArray(out, at + VIRTUAL);
    a2.intoArray(out, at + 2 * VIRTUAL);
    a3.intoArray(out, at + 3 * VIRTUAL);
    a4.intoArray(out, at + 4 * VIRTUAL);
    a5.intoArray(out, at + 5 * VIRTUAL);
    a6.intoArray(out, at + 6 * VIRTUAL);
    a7.intoArray(out, at + 7 * VIRTUAL);
  }

  /** Eight rows of fp16. */
  private static void fp16(
      long row, long stride, int extra, int whole, float[] x, int xOffset, float[] out, int at) {
    final long r0 = row;
    final long r1 = row + Math.min(extra, 1) * stride;
    final long r2 = row + Math.min(extra, 2) * stride;
    final long r3 = row + Math.min(extra, 3) * stride;
    final long r4 = row + Math.min(extra, 4) * stride;
    final long r5 = row + Math.min(extra, 5) * stride;
    final long r6 = row + Math.min(extra, 6) * stride;
    final long r7 = row + Math.min(extra, 7) * stride;
    FloatVector a0 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a1 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a2 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a3 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a4 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a5 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a6 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a7 = FloatVector.zero(Lanes.FLOAT);
    for (int k = 0; k < whole; k += DenseInput.PAIRED_BLOCK) {
      final long b = 2L * k;
      FloatVector even = FloatVector.fromArray(Lanes.FLOAT, x, xOffset + k);
      FloatVector odd = FloatVector.fromArray(Lanes.FLOAT, x, xOffset + k + VIRTUAL);
      IntVector w0 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r0 + b, ByteOrder.LITTLE_ENDIAN);
      a0 = DenseRow.half(w0.lanewise(LSHL, 16)).fma(even, a0);
      a0 = DenseRow.half(w0).fma(odd, a0);
      IntVector w1 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r1 + b, ByteOrder.LITTLE_ENDIAN);
      a1 = DenseRow.half(w1.lanewise(LSHL, 16)).fma(even, a1);
      a1 = DenseRow.half(w1).fma(odd, a1);
      IntVector w2 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r2 + b, ByteOrder.LITTLE_ENDIAN);
      a2 = DenseRow.half(w2.lanewise(LSHL, 16)).fma(even, a2);
      a2 = DenseRow.half(w2).fma(odd, a2);
      IntVector w3 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r3 + b, ByteOrder.LITTLE_ENDIAN);
      a3 = DenseRow.half(w3.lanewise(LSHL, 16)).fma(even, a3);
      a3 = DenseRow.half(w3).fma(odd, a3);
      IntVector w4 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r4 + b, ByteOrder.LITTLE_ENDIAN);
      a4 = DenseRow.half(w4.lanewise(LSHL, 16)).fma(even, a4);
      a4 = DenseRow.half(w4).fma(odd, a4);
      IntVector w5 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r5 + b, ByteOrder.LITTLE_ENDIAN);
      a5 = DenseRow.half(w5.lanewise(LSHL, 16)).fma(even, a5);
      a5 = DenseRow.half(w5).fma(odd, a5);
      IntVector w6 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r6 + b, ByteOrder.LITTLE_ENDIAN);
      a6 = DenseRow.half(w6.lanewise(LSHL, 16)).fma(even, a6);
      a6 = DenseRow.half(w6).fma(odd, a6);
      IntVector w7 =
          IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, r7 + b, ByteOrder.LITTLE_ENDIAN);
      a7 = DenseRow.half(w7.lanewise(LSHL, 16)).fma(even, a7);
      a7 = DenseRow.half(w7).fma(odd, a7);
    }
    a0.intoArray(out, at);
    a1.intoArray(out, at + VIRTUAL);
    a2.intoArray(out, at + 2 * VIRTUAL);
    a3.intoArray(out, at + 3 * VIRTUAL);
    a4.intoArray(out, at + 4 * VIRTUAL);
    a5.intoArray(out, at + 5 * VIRTUAL);
    a6.intoArray(out, at + 6 * VIRTUAL);
    a7.intoArray(out, at + 7 * VIRTUAL);
  }

  /** Eight rows of floats. */
  private static void fp32(
      long row, long stride, int extra, int whole, float[] x, int xOffset, float[] out, int at) {
    final long r0 = row;
    final long r1 = row + Math.min(extra, 1) * stride;
    final long r2 = row + Math.min(extra, 2) * stride;
    final long r3 = row + Math.min(extra, 3) * stride;
    final long r4 = row + Math.min(extra, 4) * stride;
    final long r5 = row + Math.min(extra, 5) * stride;
    final long r6 = row + Math.min(extra, 6) * stride;
    final long r7 = row + Math.min(extra, 7) * stride;
    FloatVector a0 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a1 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a2 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a3 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a4 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a5 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a6 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a7 = FloatVector.zero(Lanes.FLOAT);
    for (int k = 0; k < whole; k += VIRTUAL) {
      final long b = 4L * k;
      FloatVector in = FloatVector.fromArray(Lanes.FLOAT, x, xOffset + k);
      a0 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, r0 + b, ByteOrder.LITTLE_ENDIAN)
              .fma(in, a0);
      a1 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, r1 + b, ByteOrder.LITTLE_ENDIAN)
              .fma(in, a1);
      a2 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, r2 + b, ByteOrder.LITTLE_ENDIAN)
              .fma(in, a2);
      a3 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, r3 + b, ByteOrder.LITTLE_ENDIAN)
              .fma(in, a3);
      a4 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, r4 + b, ByteOrder.LITTLE_ENDIAN)
              .fma(in, a4);
      a5 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, r5 + b, ByteOrder.LITTLE_ENDIAN)
              .fma(in, a5);
      a6 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, r6 + b, ByteOrder.LITTLE_ENDIAN)
              .fma(in, a6);
      a7 =
          FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, r7 + b, ByteOrder.LITTLE_ENDIAN)
              .fma(in, a7);
    }
    a0.intoArray(out, at);
    a1.intoArray(out, at + VIRTUAL);
    a2.intoArray(out, at + 2 * VIRTUAL);
    a3.intoArray(out, at + 3 * VIRTUAL);
    a4.intoArray(out, at + 4 * VIRTUAL);
    a5.intoArray(out, at + 5 * VIRTUAL);
    a6.intoArray(out, at + 6 * VIRTUAL);
    a7.intoArray(out, at + 7 * VIRTUAL);
  }
}

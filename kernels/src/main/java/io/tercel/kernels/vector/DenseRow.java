package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.format.QuantFormat.Dense;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * One row of a dense matrix as floats: expanded in lane order, and the columns past its blocks.
 * Rows are absolute addresses.
 */
final class DenseRow {
  private static final int VIRTUAL = Lanes.VIRTUAL;
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private DenseRow() {}

  /** Columns of the unit that lanes split: see {@link DenseGemv}. */
  static int blockColumns(Dense format) {
    return format == Dense.FP32 ? VIRTUAL : Activations.PAIRED_BLOCK;
  }

  /** Column {@code k} of the row at {@code row}, exactly. */
  static float element(Dense format, long row, int k) {
    return switch (format) {
      case BF16 -> Float.intBitsToFloat(OffHeap.ALL.get(SHORT, row + 2L * k) << 16);
      case FP16 -> Float.float16ToFloat(OffHeap.ALL.get(SHORT, row + 2L * k));
      case FP32 -> OffHeap.ALL.get(FLOAT, row + 4L * k);
    };
  }

  /** Adds the columns [whole, cols) to the 16 partial sums at {@code at}. */
  static void tail(
      Dense format, long row, int whole, int cols, float[] x, int xOffset, float[] lanes, int at) {
    for (int k = whole; k < cols; k++) {
      int lane = at + (k - whole) % VIRTUAL;
      lanes[lane] = Math.fma(element(format, row, k), x[xOffset + k], lanes[lane]);
    }
  }

  /** The whole blocks of a row as floats, in the order of the prepared activations. */
  static void expand(Dense format, long row, int whole, float[] out, int at) {
    switch (format) {
      case BF16 -> expandBf16(row, whole, out, at);
      case FP16 -> expandFp16(row, whole, out, at);
      case FP32 -> MemorySegment.copy(OffHeap.ALL, FLOAT, row, out, at, whole);
    }
  }

  private static void expandBf16(long row, int whole, float[] out, int at) {
    for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
      final long from = row + part * (long) Integer.BYTES;
      final int to = at + part;
      for (int k = 0; k < whole; k += Activations.PAIRED_BLOCK) {
        IntVector w =
            IntVector.fromMemorySegment(
                Lanes.INT, OffHeap.ALL, from + 2L * k, ByteOrder.LITTLE_ENDIAN);
        w.lanewise(LSHL, 16).reinterpretAsFloats().intoArray(out, to + k);
        w.and(0xffff_0000).reinterpretAsFloats().intoArray(out, to + k + VIRTUAL);
      }
    }
  }

  private static void expandFp16(long row, int whole, float[] out, int at) {
    for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
      final long from = row + part * (long) Integer.BYTES;
      final int to = at + part;
      for (int k = 0; k < whole; k += Activations.PAIRED_BLOCK) {
        IntVector w =
            IntVector.fromMemorySegment(
                Lanes.INT, OffHeap.ALL, from + 2L * k, ByteOrder.LITTLE_ENDIAN);
        half(w.lanewise(LSHL, 16)).intoArray(out, to + k);
        half(w).intoArray(out, to + k + VIRTUAL);
      }
    }
  }

  /**
   * The fp16 in the upper half of each int, exactly, zeros and subnormals included, infinities and
   * NaNs not. Exponents are rebased by integer addition: multiplying instead would feed subnormal
   * floats to the multiplier, which takes a microcode trap for each.
   */
  static FloatVector half(IntVector w) {
    IntVector magnitude = w.and(0x7fff_0000).lanewise(LSHR, 3);
    IntVector rebased = magnitude.add(0x3800_0000);
    IntVector tiny =
        magnitude.add(0x3880_0000).reinterpretAsFloats().sub(0x1p-14f).reinterpretAsInts();
    return rebased
        .blend(tiny, magnitude.compare(VectorOperators.LT, 0x0080_0000))
        .or(w.and(0x8000_0000))
        .reinterpretAsFloats();
  }
}

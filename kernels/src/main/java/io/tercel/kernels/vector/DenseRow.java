package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.format.QuantFormat.Dense;
import java.lang.foreign.MemorySegment;
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

  private DenseRow() {}

  /** Columns of the unit that lanes split: see {@link DenseGemv}. */
  static int blockColumns(Dense format) {
    return format == Dense.FP32 ? VIRTUAL : DenseInput.PAIRED_BLOCK;
  }

  /** Adds the columns [whole, cols) to the 16 partial sums at {@code at}. */
  static void tail(
      Dense format, long row, int whole, int cols, float[] x, int xOffset, float[] lanes, int at) {
    if (whole == cols) {
      return;
    }
    MemorySegment weights = OffHeap.ALL.asSlice(row);
    for (int k = whole; k < cols; k++) {
      int lane = at + (k - whole) % VIRTUAL;
      float weight = format.element(weights, k);
      lanes[lane] = Math.fma(weight, x[xOffset + k], lanes[lane]);
    }
  }

  /** The whole blocks of a row as floats, in the order of the prepared activations. */
  static void expand(Dense format, long row, int whole, float[] out, int at) {
    switch (format) {
      case BF16 -> expandBf16(row, whole, out, at);
      case FP16 -> expandFp16(row, whole, out, at);
      case FP32 -> MemorySegment.copy(OffHeap.ALL, OffHeap.FLOAT, row, out, at, whole);
    }
  }

  private static void expandBf16(long row, int whole, float[] out, int at) {
    for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
      final long from = row + part * (long) Integer.BYTES;
      final int to = at + part;
      for (int k = 0; k < whole; k += DenseInput.PAIRED_BLOCK) {
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
      for (int k = 0; k < whole; k += DenseInput.PAIRED_BLOCK) {
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

package io.tercel.kernels.vector;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * Many tokens through a dense layer, to the same bits as {@link DenseGemv}: four rows are expanded
 * to floats once, then every four tokens pass over them with 16 accumulators.
 */
final class DenseGemm {
  private static final int SIDE = KernelScratch.SIDE;
  private static final int VIRTUAL = Lanes.VIRTUAL;

  private DenseGemm() {}

  /**
   * Rows [rowFrom, rowTo) of y = W x + bias for all tokens.
   *
   * @param weights row-major [rows, cols] from {@code offset} on, cols as prepared in {@code x}
   * @param x prepared as {@link DenseInput} does for this format
   * @param bias [rows] or null
   * @param y token t's row r goes to {@code y[yOffset + t * yStride + r]}
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
      int yStride,
      KernelScratch scratch) {
    int tokens = x.tokens();
    int cols = x.cols();
    int whole = cols - cols % DenseRow.blockColumns(format);
    long rowBytes = (long) cols * format.elementBytes();
    float[] expanded = scratch.rows(whole);
    float[] lanes = scratch.lanes;
    long base = OffHeap.address(weights, offset, format.bytes(rowTo, cols));
    float[] values = DenseInput.values(format, x);
    for (int row = rowFrom; row < rowTo; row += SIDE) {
      int rows = Math.min(SIDE, rowTo - row);
      for (int i = 0; i < rows; i++) {
        DenseRow.expand(format, base + (row + i) * rowBytes, whole, expanded, i * whole);
      }
      for (int t = 0; t < tokens; t += SIDE) {
        int last = Math.min(t + SIDE, tokens) - 1; // stands in for tokens past the end
        int t0 = t * cols;
        int t1 = Math.min(t + 1, last) * cols;
        int t2 = Math.min(t + 2, last) * cols;
        int t3 = last * cols;
        for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
          dots(
              expanded, whole, values, t0 + part, t1 + part, t2 + part, t3 + part, part, lanes,
              part);
        }
        for (int i = t; i <= last; i++) {
          for (int r = 0; r < rows; r++) {
            int at = ((i - t) * SIDE + r) * VIRTUAL;
            long from = base + (row + r) * rowBytes;
            int in = i * cols;
            DenseRow.tail(format, from, whole, cols, values, in, lanes, at);
            float sum = LaneSum.tree(lanes, at);
            int out = yOffset + i * yStride + row + r;
            y[out] = bias == null ? sum : sum + bias[row + r];
          }
        }
      }
    }
    Reference.reachabilityFence(weights);
  }

  /** Four rows, {@code whole} apart from {@code from} on, by the four tokens at x0 .. x3. */
  private static void dots(
      float[] rows,
      int whole,
      float[] x,
      int x0,
      int x1,
      int x2,
      int x3,
      int from,
      float[] out,
      int at) {
    final int r1 = from + whole;
    final int r2 = from + 2 * whole;
    final int r3 = from + 3 * whole;
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
    for (int k = 0; k < whole; k += VIRTUAL) {
      FloatVector w0 = FloatVector.fromArray(Lanes.FLOAT, rows, from + k);
      FloatVector w1 = FloatVector.fromArray(Lanes.FLOAT, rows, r1 + k);
      FloatVector w2 = FloatVector.fromArray(Lanes.FLOAT, rows, r2 + k);
      FloatVector w3 = FloatVector.fromArray(Lanes.FLOAT, rows, r3 + k);
      FloatVector b0 = FloatVector.fromArray(Lanes.FLOAT, x, x0 + k);
      a00 = w0.fma(b0, a00);
      a01 = w1.fma(b0, a01);
      a02 = w2.fma(b0, a02);
      a03 = w3.fma(b0, a03);
      FloatVector b1 = FloatVector.fromArray(Lanes.FLOAT, x, x1 + k);
      a10 = w0.fma(b1, a10);
      a11 = w1.fma(b1, a11);
      a12 = w2.fma(b1, a12);
      a13 = w3.fma(b1, a13);
      FloatVector b2 = FloatVector.fromArray(Lanes.FLOAT, x, x2 + k);
      a20 = w0.fma(b2, a20);
      a21 = w1.fma(b2, a21);
      a22 = w2.fma(b2, a22);
      a23 = w3.fma(b2, a23);
      FloatVector b3 = FloatVector.fromArray(Lanes.FLOAT, x, x3 + k);
      a30 = w0.fma(b3, a30);
      a31 = w1.fma(b3, a31);
      a32 = w2.fma(b3, a32);
      a33 = w3.fma(b3, a33);
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
}

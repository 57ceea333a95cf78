package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.F2I;
import static jdk.incubator.vector.VectorOperators.MAX;

import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.ops.GroupedInts;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.RowInts;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Activations through their transform and to 4-bit integers, as {@link InputTransform} and {@link
 * RowInts} define it.
 */
public final class Int4Rounding {
  private static final int INFINITE = 0x7f80_0000;

  /** Rounds what is below 2^22 to a whole number, half to even. */
  private static final float ROUNDER = 0x1.8p23f;

  /** Beyond it an element's code is 0 or 15, whatever the zero point. */
  private static final float BEYOND = RowInts.MAX_CODE + 1f;

  private Int4Rounding() {}

  /** Ints that {@link #pair} wants in {@link PreparedInput#arrangedInts}. */
  static int pairs(PreparedInput input) {
    return Math.multiplyExact(input.tokens(), input.groups() * GroupedInts.GROUP / 2);
  }

  /** One token's row, {@code input.cols()} floats of x from {@code at} on. */
  public static void row(
      float[] x,
      int at,
      InputTransform transform,
      PreparedInput input,
      int token,
      KernelScratch s) {
    int cols = input.cols();
    float[] row = x;
    int rowAt = at;
    if (!transform.identity()) {
      row = transformed(transform, x, at, cols, s);
      rowAt = 0;
    }
    int padded = input.groups() * GroupedInts.GROUP;
    int[] codes = s.ints(padded);
    round(row, rowAt, cols, transform, input, token, codes);
    for (int c = cols; c < padded; c++) {
      codes[c] = 0;
    }
    for (int g = 0; g < input.groups(); g++) {
      bytes(codes, g * GroupedInts.GROUP, input, token, g);
    }
  }

  private static float[] transformed(
      InputTransform transform, float[] x, int at, int cols, KernelScratch s) {
    int m = transform.rows(cols);
    int n = cols / m;
    float[] left = transform.left();
    float[] right = transform.right();
    float[] t = s.transformed(2 * cols);
    if (left != null) {
      MatrixProduct.multiply(left, 0, 1, m, x, at, m, m, n, t, cols);
    }
    if (right == null) {
      System.arraycopy(t, cols, t, 0, cols);
    } else if (left == null) {
      MatrixProduct.multiply(x, at, n, 1, right, 0, m, n, n, t, 0);
    } else {
      MatrixProduct.multiply(t, cols, n, 1, right, 0, m, n, n, t, 0);
    }
    return t;
  }

  private static void round(
      float[] x,
      int at,
      int cols,
      InputTransform transform,
      PreparedInput input,
      int token,
      int[] codes) {
    int whole = cols - cols % Lanes.COUNT;
    IntVector largest = IntVector.zero(Lanes.INT);
    FloatVector least = FloatVector.zero(Lanes.FLOAT);
    FloatVector greatest = FloatVector.zero(Lanes.FLOAT);
    for (int c = 0; c < whole; c += Lanes.COUNT) {
      FloatVector v = Lanes.load(x, at + c);
      largest = largest.max(Lanes.bits(v).and(0x7fff_ffff)); // NaN is above infinity there
      least = least.min(v);
      greatest = greatest.max(v);
    }
    int bits = largest.reduceLanes(MAX);
    float min = 0;
    float max = 0;
    for (int lane = 0; lane < Lanes.COUNT && bits < INFINITE; lane++) {
      min = Math.min(min, least.lane(lane));
      max = Math.max(max, greatest.lane(lane));
    }
    for (int c = whole; c < cols; c++) {
      bits = Math.max(bits, Float.floatToRawIntBits(x[at + c]) & 0x7fff_ffff);
      min = Math.min(min, x[at + c]);
      max = Math.max(max, x[at + c]);
    }
    float low = min * transform.lowClip();
    float scale = RowInts.scale(low, max * transform.highClip(), bits < INFINITE);
    int zero = RowInts.zero(low, scale);
    int sum = 0;
    if (scale > 0) {
      codes(x, at, whole, scale, zero, codes);
      for (int c = whole; c < cols; c++) {
        codes[c] = RowInts.code(x[at + c], scale, zero);
      }
      for (int c = 0; c < cols; c++) {
        sum += codes[c];
      }
    } else {
      Arrays.fill(codes, 0, cols, 0);
    }
    input.rowMeta(token, scale, zero, sum);
  }

  private static void codes(float[] x, int at, int whole, float scale, int zero, int[] codes) {
    for (int c = 0; c < whole; c += Lanes.COUNT) {
      FloatVector v = Lanes.load(x, at + c).div(scale).min(BEYOND).max(-BEYOND);
      IntVector code = (IntVector) v.add(ROUNDER).sub(ROUNDER).convert(F2I, 0);
      code.add(zero).max(0).min(RowInts.MAX_CODE).intoArray(codes, c);
    }
  }

  private static void bytes(int[] codes, int from, PreparedInput input, int token, int group) {
    long to =
        OffHeap.address(
            input.codes(), input.rowCodesOffset(token, group), PreparedInput.ROW_CODE_BYTES);
    for (int k = 0; k < GroupedInts.GROUP; k += 4) {
      int c = from + k;
      int four = codes[c] | codes[c + 1] << 8 | codes[c + 2] << 16 | codes[c + 3] << 24;
      OffHeap.ALL.set(OffHeap.INT, to + k, four);
    }
  }

  /**
   * A token's codes once more, as {@link W4Kernel} multiplies them: for each eight columns k .. k +
   * 7 four ints, of columns k and k + 2, k + 1 and k + 3, k + 4 and k + 6, k + 5 and k + 7: the
   * first of a pair in the high half, the second in the low one.
   *
   * @param s whose {@link KernelScratch#ints} the row's codes still are in
   */
  static void pair(PreparedInput input, int token, KernelScratch s) {
    int padded = input.groups() * GroupedInts.GROUP;
    int[] codes = s.ints(padded);
    int[] to = input.arrangedInts(pairs(input));
    int at = token * padded / 2;
    for (int k = 0; k < padded; k += W4Tile.WORD_COLUMNS, at += 4) {
      to[at] = codes[k] << 16 | codes[k + 2];
      to[at + 1] = codes[k + 1] << 16 | codes[k + 3];
      to[at + 2] = codes[k + 4] << 16 | codes[k + 6];
      to[at + 3] = codes[k + 5] << 16 | codes[k + 7];
    }
  }
}

package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.F2I;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.MAX;

import io.tercel.kernels.ops.GroupedInts;
import io.tercel.kernels.ops.PreparedInput;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import org.jspecify.annotations.Nullable;

/**
 * Activations to 16-bit integers, as {@link GroupedInts} defines it, and arranged for {@link
 * W3Gemv} or {@link W3Gemm} besides.
 */
final class Rounding {
  private static final int GROUP = GroupedInts.GROUP;

  /** See {@link GroupedInts}: rounds what is below 2^22 to a whole number. */
  private static final float ROUNDER = 0x1.8p23f;

  private Rounding() {}

  /** Floats that {@link #row} wants in {@link PreparedInput#arranged}. */
  static int floats(PreparedInput input) {
    return Math.multiplyExact(input.tokens(), input.groups() * GROUP);
  }

  /** Ints that {@link #row} wants in {@link PreparedInput#arrangedInts} for a single token. */
  static int pairs(PreparedInput input) {
    return input.groups() * GROUP;
  }

  /**
   * One token's row, {@code input.cols()} floats of x from {@code at} on. Arranged, a single
   * token's codes are 128 ints a group, four for each four columns k .. k + 3, which hold two bytes
   * of codes in halves of 16 bits: the low bytes of k and k + 2, of k + 1 and k + 3, then the high
   * ones likewise. Several tokens' are floats, [token][padded columns].
   */
  static void row(
      float[] x, int at, int @Nullable [] order, PreparedInput input, int token, KernelScratch s) {
    int cols = input.cols();
    boolean single = input.tokens() == 1;
    float[] floats = single ? s.group : input.arranged(floats(input));
    int stride = input.groups() * GROUP;
    for (int g = 0; g < input.groups(); g++) {
      int first = g * GROUP;
      int count = Math.min(GROUP, cols - first);
      float[] from = x;
      int fromAt = at + first;
      if (order != null || count < GROUP) {
        for (int k = 0; k < count; k++) {
          s.group[k] = x[at + (order == null ? first + k : order[first + k])];
        }
        Arrays.fill(s.group, count, GROUP, 0f);
        from = s.group;
        fromAt = 0;
      }
      int magnitude = magnitude(from, fromAt);
      float factor = GroupedInts.factor(magnitude);
      round(from, fromAt, factor, floats, single ? 0 : token * stride + first, s.codes);
      int sum = bytes(s.codes, address(input, token, g));
      input.meta(token, g, GroupedInts.scale(magnitude), sum);
      if (single) {
        pair(s.codes, input.arrangedInts(stride), first);
      }
    }
  }

  private static long address(PreparedInput input, int token, int group) {
    return OffHeap.address(
        input.codes(), input.codesOffset(token, group), PreparedInput.CODE_BYTES);
  }

  private static int magnitude(float[] x, int at) {
    IntVector m = IntVector.zero(Lanes.INT);
    for (int k = 0; k < GROUP; k += Lanes.COUNT) {
      m = m.max(Lanes.bits(Lanes.load(x, at + k)).and(0x7fff_ffff));
    }
    return m.reduceLanes(MAX);
  }

  private static void round(float[] x, int at, float factor, float[] floats, int to, int[] codes) {
    if (factor == 0) { // also where x is infinite or NaN
      Arrays.fill(floats, to, to + GROUP, 0f);
      Arrays.fill(codes, 0);
      return;
    }
    for (int k = 0; k < GROUP; k += Lanes.COUNT) {
      FloatVector whole = Lanes.load(x, at + k).mul(factor).add(ROUNDER).sub(ROUNDER);
      whole.intoArray(floats, to + k);
      ((IntVector) whole.convert(F2I, 0)).intoArray(codes, k);
    }
  }

  /** Writes a group's low bytes and high bytes; answers the sum of its codes. */
  private static int bytes(int[] codes, long to) {
    int sum = 0;
    for (int k = 0; k < GROUP; k += 4) {
      int a = codes[k];
      int b = codes[k + 1];
      int c = codes[k + 2];
      int d = codes[k + 3];
      sum += a + b + c + d;
      // 128 carries a negative low byte into the high one
      int low = a & 0xff | (b & 0xff) << 8 | (c & 0xff) << 16 | d << 24;
      int high =
          a + 128 >>> 8 & 0xff
              | (b + 128 >>> 8 & 0xff) << 8
              | (c + 128 >>> 8 & 0xff) << 16
              | d + 128 >>> 8 << 24;
      OffHeap.ALL.set(OffHeap.INT, to + k, low);
      OffHeap.ALL.set(OffHeap.INT, to + GROUP + k, high);
    }
    return sum;
  }

  private static void pair(int[] codes, int[] pairs, int at) {
    for (int k = 0; k < GROUP; k += Lanes.COUNT) { // in place: low bytes, and below them the high
      IntVector code = IntVector.fromArray(Lanes.INT, codes, k);
      IntVector low = code.lanewise(LSHL, 24).lanewise(ASHR, 24);
      IntVector high = code.sub(low).lanewise(ASHR, 8);
      low.and(0xffff).or(high.lanewise(LSHL, 16)).intoArray(codes, k);
    }
    for (int k = 0; k < GROUP; k += 4) {
      int a = codes[k];
      int b = codes[k + 1];
      int c = codes[k + 2];
      int d = codes[k + 3];
      pairs[at + k] = a & 0xffff | c << 16;
      pairs[at + k + 1] = b & 0xffff | d << 16;
      pairs[at + k + 2] = a >>> 16 | c & 0xffff_0000;
      pairs[at + k + 3] = b >>> 16 | d & 0xffff_0000;
    }
  }
}

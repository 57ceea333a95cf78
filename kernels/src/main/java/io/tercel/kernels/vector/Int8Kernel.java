package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.GroupedInts;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Tokens through an 8-bit layer. Lanes are output rows; products and sums are ints, so their order
 * is free, and {@code Ops.linear} says what is done with them. Codes are multiplied as they are
 * stored, with 128 added, and the inputs' sum takes that back once a group.
 *
 * <p>A single token takes two tiles at a time, which lie half the range apart: two streams that the
 * hardware's prefetcher follows. Several tokens go four at a time through one tile, whose bytes are
 * taken apart once for them. Sums of all groups are kept first and finished afterwards, since C2
 * boxes vectors in bodies past its inlining budget.
 */
final class Int8Kernel {
  /** Sums of a group: one token by two tiles, or four tokens by one. */
  private static final int SLOTS = 4;

  /** Tokens of one pass. */
  private static final int TOKENS = 4;

  /** From an array, lest C2 broadcast it anew at each use. */
  private static final int[] BYTE = {0xff};

  private Int8Kernel() {}

  /**
   * Tiles [from, to) for all prepared tokens.
   *
   * @param out [tokens][rows]
   */
  static void multiply(
      Linear layer, PreparedInput x, float[] out, int from, int to, KernelScratch scratch) {
    if (x.tokens() == 1) {
      one(layer, x, out, from, to, scratch);
    } else {
      several(layer, x, out, from, to, scratch);
    }
    Reference.reachabilityFence(layer);
  }

  private static void one(
      Linear layer, PreparedInput x, float[] out, int from, int to, KernelScratch scratch) {
    int groups = x.groups();
    int[] codes = scratch.ints(groups * GroupedInts.GROUP);
    codes(x, 0, codes, 0, 1);
    int[] sums = scratch.sums(groups * SLOTS * Lanes.VIRTUAL);
    long base = address(layer.weight(), x);
    int apart = Math.ceilDiv(to - from, 2);
    for (int tile = from; tile < from + apart; tile++) {
      long first = base + Int8Block.blockOffset(tile, 0, groups);
      boolean two = tile + apart < to; // an odd last tile runs beside itself
      long second = two ? first + Int8Block.blockOffset(apart, 0, groups) : first;
      for (int part = 0; part < Lanes.VIRTUAL; part += Lanes.COUNT) {
        pair(first, second, part, groups, codes, sums);
        finish(first, part, x, 0, sums, part, scratch.lanes, part);
        int next = Lanes.VIRTUAL + part;
        finish(second, part, x, 0, sums, next, scratch.lanes, next);
      }
      TileOutput.store(scratch.lanes, 0, tile, layer, out, 0);
      if (two) {
        TileOutput.store(scratch.lanes, Lanes.VIRTUAL, tile + apart, layer, out, 0);
      }
    }
  }

  private static void several(
      Linear layer, PreparedInput x, float[] out, int from, int to, KernelScratch scratch) {
    int groups = x.groups();
    int width = groups * GroupedInts.GROUP;
    int passes = Math.ceilDiv(x.tokens(), TOKENS);
    int[] codes = scratch.ints(passes * TOKENS * width);
    for (int t = 0; t < passes * TOKENS; t++) {
      // a last pass that isn't full takes its last token again
      int token = Math.min(t, x.tokens() - 1);
      codes(x, token, codes, t / TOKENS * TOKENS * width + t % TOKENS, TOKENS);
    }
    int[] sums = scratch.sums(groups * SLOTS * Lanes.VIRTUAL);
    long base = address(layer.weight(), x);
    for (int tile = from; tile < to; tile++) {
      long first = base + Int8Block.blockOffset(tile, 0, groups);
      for (int pass = 0; pass < passes; pass++) {
        int token = pass * TOKENS;
        int present = Math.min(TOKENS, x.tokens() - token);
        for (int part = 0; part < Lanes.VIRTUAL; part += Lanes.COUNT) {
          four(first, part, groups, codes, token * width, sums);
          for (int t = 0; t < present; t++) {
            int at = t * Lanes.VIRTUAL + part;
            finish(first, part, x, token + t, sums, at, scratch.lanes, at);
          }
        }
        for (int t = 0; t < present; t++) {
          TileOutput.store(scratch.lanes, t * Lanes.VIRTUAL, tile, layer, out, token + t);
        }
      }
    }
  }

  private static long address(PackedMatrix w, PreparedInput x) {
    return OffHeap.address(w.segment(), 0, Int8Block.matrixBytes(w.rows(), x.cols()));
  }

  /** A token's codes, padding included: column k to {@code to[at + k * stride]}. */
  private static void codes(PreparedInput x, int token, int[] to, int at, int stride) {
    int next = at;
    for (int g = 0; g < x.groups(); g++) {
      long low = x.codesOffset(token, g);
      for (int k = 0; k < GroupedInts.GROUP; k++, next += stride) {
        to[next] =
            x.codes().get(ValueLayout.JAVA_BYTE, low + k)
                + 256 * x.codes().get(ValueLayout.JAVA_BYTE, low + GroupedInts.GROUP + k);
      }
    }
  }

  /** Lanes [part, part + COUNT) of two rows of blocks by one token: to slots 0 and 1. */
  private static void pair(long first, long second, int part, int groups, int[] codes, int[] sums) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BYTE[0]);
    final long lane = part * (long) Int8Block.WORD_COLUMNS;
    for (int g = 0; g < groups; g++) {
      final long block0 = first + lane + g * (long) Int8Block.BLOCK_BYTES;
      final long block1 = second + lane + g * (long) Int8Block.BLOCK_BYTES;
      IntVector a0 = IntVector.zero(Lanes.INT);
      IntVector b0 = IntVector.zero(Lanes.INT);
      IntVector a1 = IntVector.zero(Lanes.INT);
      IntVector b1 = IntVector.zero(Lanes.INT);
      for (int n = 0; n < Int8Block.WORDS; n++) {
        final long word = n * (long) Int8Block.WORD_BYTES;
        final int k = g * Int8Block.GROUP + n * Int8Block.WORD_COLUMNS;
        IntVector w0 = word(block0 + word);
        IntVector w1 = word(block1 + word);
        IntVector q0 = IntVector.broadcast(Lanes.INT, codes[k]);
        a0 = a0.add(w0.and(mask).mul(q0));
        a1 = a1.add(w1.and(mask).mul(q0));
        IntVector q1 = IntVector.broadcast(Lanes.INT, codes[k + 1]);
        b0 = b0.add(w0.lanewise(LSHR, 8).and(mask).mul(q1));
        b1 = b1.add(w1.lanewise(LSHR, 8).and(mask).mul(q1));
        IntVector q2 = IntVector.broadcast(Lanes.INT, codes[k + 2]);
        a0 = a0.add(w0.lanewise(LSHR, 16).and(mask).mul(q2));
        a1 = a1.add(w1.lanewise(LSHR, 16).and(mask).mul(q2));
        IntVector q3 = IntVector.broadcast(Lanes.INT, codes[k + 3]);
        b0 = b0.add(w0.lanewise(LSHR, 24).mul(q3));
        b1 = b1.add(w1.lanewise(LSHR, 24).mul(q3));
      }
      final int at = g * SLOTS * Lanes.VIRTUAL + part;
      a0.add(b0).intoArray(sums, at);
      a1.add(b1).intoArray(sums, at + Lanes.VIRTUAL);
    }
  }

  /** Lanes [part, part + COUNT) of one row of blocks by four tokens: to slots 0 to 3. */
  private static void four(long first, int part, int groups, int[] codes, int from, int[] sums) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, BYTE[0]);
    final long lane = part * (long) Int8Block.WORD_COLUMNS;
    for (int g = 0; g < groups; g++) {
      final long block = first + lane + g * (long) Int8Block.BLOCK_BYTES;
      IntVector s0 = IntVector.zero(Lanes.INT);
      IntVector s1 = IntVector.zero(Lanes.INT);
      IntVector s2 = IntVector.zero(Lanes.INT);
      IntVector s3 = IntVector.zero(Lanes.INT);
      for (int n = 0; n < Int8Block.WORDS; n++) {
        final int k = from + TOKENS * (g * Int8Block.GROUP + n * Int8Block.WORD_COLUMNS);
        IntVector w = word(block + n * (long) Int8Block.WORD_BYTES);
        IntVector c0 = w.and(mask);
        s0 = s0.add(c0.mul(IntVector.broadcast(Lanes.INT, codes[k])));
        s1 = s1.add(c0.mul(IntVector.broadcast(Lanes.INT, codes[k + 1])));
        s2 = s2.add(c0.mul(IntVector.broadcast(Lanes.INT, codes[k + 2])));
        s3 = s3.add(c0.mul(IntVector.broadcast(Lanes.INT, codes[k + 3])));
        IntVector c1 = w.lanewise(LSHR, 8).and(mask);
        s0 = s0.add(c1.mul(IntVector.broadcast(Lanes.INT, codes[k + 4])));
        s1 = s1.add(c1.mul(IntVector.broadcast(Lanes.INT, codes[k + 5])));
        s2 = s2.add(c1.mul(IntVector.broadcast(Lanes.INT, codes[k + 6])));
        s3 = s3.add(c1.mul(IntVector.broadcast(Lanes.INT, codes[k + 7])));
        IntVector c2 = w.lanewise(LSHR, 16).and(mask);
        s0 = s0.add(c2.mul(IntVector.broadcast(Lanes.INT, codes[k + 8])));
        s1 = s1.add(c2.mul(IntVector.broadcast(Lanes.INT, codes[k + 9])));
        s2 = s2.add(c2.mul(IntVector.broadcast(Lanes.INT, codes[k + 10])));
        s3 = s3.add(c2.mul(IntVector.broadcast(Lanes.INT, codes[k + 11])));
        IntVector c3 = w.lanewise(LSHR, 24);
        s0 = s0.add(c3.mul(IntVector.broadcast(Lanes.INT, codes[k + 12])));
        s1 = s1.add(c3.mul(IntVector.broadcast(Lanes.INT, codes[k + 13])));
        s2 = s2.add(c3.mul(IntVector.broadcast(Lanes.INT, codes[k + 14])));
        s3 = s3.add(c3.mul(IntVector.broadcast(Lanes.INT, codes[k + 15])));
      }
      final int at = g * SLOTS * Lanes.VIRTUAL + part;
      s0.intoArray(sums, at);
      s1.intoArray(sums, at + Lanes.VIRTUAL);
      s2.intoArray(sums, at + 2 * Lanes.VIRTUAL);
      s3.intoArray(sums, at + 3 * Lanes.VIRTUAL);
    }
  }

  private static IntVector word(long address) {
    return IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, address, ByteOrder.LITTLE_ENDIAN);
  }

  /** A slot's sums with scales, from {@code sums[group][..] + at}; to {@code out[to]} and on. */
  private static void finish(
      long tile, int part, PreparedInput x, int token, int[] sums, int at, float[] out, int to) {
    FloatVector y = FloatVector.zero(Lanes.FLOAT);
    for (int g = 0; g < x.groups(); g++) {
      final long scales = tile + g * (long) Int8Block.BLOCK_BYTES + Int8Block.SCALES_OFFSET;
      IntVector sum =
          IntVector.fromArray(Lanes.INT, sums, g * SLOTS * Lanes.VIRTUAL + at)
              .sub(Int8Block.ZERO * x.sum(token, g));
      FloatVector scale = W3Meta.halves(scales + part * (long) Short.BYTES).mul(x.scale(token, g));
      y = ((FloatVector) sum.convert(I2F, 0)).fma(scale, y);
    }
    y.intoArray(out, to);
  }
}

package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.ref.Reference;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Tokens through a 4-bit layer. Lanes are output rows; products and sums are ints, so their order
 * is free, and {@code Ops.linear} says what is done with them.
 *
 * <p>One multiplication does two columns: with weights a and b in the halves of an int and inputs y
 * and x in those of another, (a + 2^16 b) (y + 2^16 x) has a x + b y in its high half and a y,
 * which nobody wants, in its low one. The 64 products of a block leave at most 28,800 in a high
 * half and 14,400 in a low one, so they are added as they are and shifted once.
 *
 * <p>A single token takes two tiles at a time, which lie half the range apart: two streams that the
 * hardware's prefetcher follows. Several tokens go four at a time through one tile, whose words are
 * taken apart once for them. Sums of blocks are kept first and finished afterwards, since C2 boxes
 * vectors in bodies past its inlining budget.
 */
final class W4Kernel {
  /** Sums of a block: one token by two tiles, or four tokens by one. */
  private static final int SLOTS = 4;

  /** Tokens of one pass. */
  private static final int TOKENS = 4;

  /** Ints of a block's inputs of one token. */
  private static final int PAIRS = W4Tile.BLOCK / 2;

  /** From an array, lest C2 broadcast it anew at each use. */
  private static final int[] HALVES = {0x000f_000f};

  private W4Kernel() {}

  /**
   * Tiles [from, to) for all prepared tokens.
   *
   * @param out [tokens][rows]
   */
  static void multiply(
      Linear layer, PreparedInput x, float[] out, int from, int to, KernelScratch scratch) {
    int[] pairs = x.arrangedInts(Int4Rounding.pairs(x));
    if (x.tokens() == 1) {
      one(layer, x, pairs, out, from, to, scratch);
    } else {
      several(layer, x, pairs, out, from, to, scratch);
    }
    Reference.reachabilityFence(layer);
  }

  private static void one(
      Linear layer,
      PreparedInput x,
      int[] pairs,
      float[] out,
      int from,
      int to,
      KernelScratch scratch) {
    int groups = x.groups();
    long tileBytes = W4Tile.tileBytes(x.cols());
    int[] sums = scratch.sums(groups * SLOTS * Lanes.VIRTUAL);
    long base = address(layer.weight(), x);
    int apart = Math.ceilDiv(to - from, 2);
    for (int tile = from; tile < from + apart; tile++) {
      long first = base + tile * tileBytes;
      boolean two = tile + apart < to; // an odd last tile runs beside itself
      long second = two ? first + apart * tileBytes : first;
      for (int part = 0; part < Lanes.VIRTUAL; part += Lanes.COUNT) {
        pair(first, second, part, groups, pairs, sums);
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
      Linear layer,
      PreparedInput x,
      int[] pairs,
      float[] out,
      int from,
      int to,
      KernelScratch scratch) {
    int groups = x.groups();
    int width = groups * PAIRS;
    long tileBytes = W4Tile.tileBytes(x.cols());
    int[] sums = scratch.sums(groups * SLOTS * Lanes.VIRTUAL);
    long base = address(layer.weight(), x);
    for (int tile = from; tile < to; tile++) {
      long first = base + tile * tileBytes;
      for (int token = 0; token < x.tokens(); token += TOKENS) {
        int present = Math.min(TOKENS, x.tokens() - token);
        // a last pass that isn't full takes its last token again
        int step1 = present > 1 ? width : 0;
        int step2 = present > 2 ? 2 * width : step1;
        int step3 = present > 3 ? 3 * width : step2;
        for (int part = 0; part < Lanes.VIRTUAL; part += Lanes.COUNT) {
          four(first, part, groups, pairs, token * width, step1, step2, step3, sums);
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
    return OffHeap.address(w.segment(), 0, W4Tile.matrixBytes(w.rows(), x.cols()));
  }

  /** Lanes [part, part + COUNT) of two tiles by one token: to slots 0 and 1. */
  private static void pair(long first, long second, int part, int groups, int[] x, int[] sums) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, HALVES[0]);
    final long lane = part * (long) Integer.BYTES;
    for (int g = 0; g < groups; g++) {
      final long block0 = first + lane + g * (long) W4Tile.BLOCK_BYTES;
      final long block1 = second + lane + g * (long) W4Tile.BLOCK_BYTES;
      IntVector a0 = IntVector.zero(Lanes.INT);
      IntVector b0 = IntVector.zero(Lanes.INT);
      IntVector a1 = IntVector.zero(Lanes.INT);
      IntVector b1 = IntVector.zero(Lanes.INT);
      for (int n = 0; n < W4Tile.WORDS; n++) {
        final long word = n * (long) W4Tile.WORD_BYTES;
        final int k = g * PAIRS + 4 * n;
        IntVector w0 = word(block0 + word);
        IntVector w1 = word(block1 + word);
        IntVector q0 = IntVector.broadcast(Lanes.INT, x[k]);
        a0 = a0.add(w0.and(mask).mul(q0));
        a1 = a1.add(w1.and(mask).mul(q0));
        IntVector q1 = IntVector.broadcast(Lanes.INT, x[k + 1]);
        b0 = b0.add(w0.lanewise(LSHR, 8).and(mask).mul(q1));
        b1 = b1.add(w1.lanewise(LSHR, 8).and(mask).mul(q1));
        IntVector q2 = IntVector.broadcast(Lanes.INT, x[k + 2]);
        a0 = a0.add(w0.lanewise(LSHR, 4).and(mask).mul(q2));
        a1 = a1.add(w1.lanewise(LSHR, 4).and(mask).mul(q2));
        IntVector q3 = IntVector.broadcast(Lanes.INT, x[k + 3]);
        b0 = b0.add(w0.lanewise(LSHR, 12).and(mask).mul(q3));
        b1 = b1.add(w1.lanewise(LSHR, 12).and(mask).mul(q3));
      }
      final int at = g * SLOTS * Lanes.VIRTUAL + part;
      a0.add(b0).lanewise(LSHR, 16).intoArray(sums, at);
      a1.add(b1).lanewise(LSHR, 16).intoArray(sums, at + Lanes.VIRTUAL);
    }
  }

  /** Lanes [part, part + COUNT) of one tile by four tokens: to slots 0 to 3. */
  private static void four(
      long tile,
      int part,
      int groups,
      int[] x,
      int from,
      int step1,
      int step2,
      int step3,
      int[] sums) {
    final IntVector mask = IntVector.broadcast(Lanes.INT, HALVES[0]);
    final long lane = part * (long) Integer.BYTES;
    for (int g = 0; g < groups; g++) {
      final long block = tile + lane + g * (long) W4Tile.BLOCK_BYTES;
      IntVector s0 = IntVector.zero(Lanes.INT);
      IntVector s1 = IntVector.zero(Lanes.INT);
      IntVector s2 = IntVector.zero(Lanes.INT);
      IntVector s3 = IntVector.zero(Lanes.INT);
      for (int n = 0; n < W4Tile.WORDS; n++) {
        final int k = from + g * PAIRS + 4 * n;
        IntVector w = word(block + n * (long) W4Tile.WORD_BYTES);
        IntVector c0 = w.and(mask);
        s0 = s0.add(c0.mul(IntVector.broadcast(Lanes.INT, x[k])));
        s1 = s1.add(c0.mul(IntVector.broadcast(Lanes.INT, x[k + step1])));
        s2 = s2.add(c0.mul(IntVector.broadcast(Lanes.INT, x[k + step2])));
        s3 = s3.add(c0.mul(IntVector.broadcast(Lanes.INT, x[k + step3])));
        IntVector c1 = w.lanewise(LSHR, 8).and(mask);
        s0 = s0.add(c1.mul(IntVector.broadcast(Lanes.INT, x[k + 1])));
        s1 = s1.add(c1.mul(IntVector.broadcast(Lanes.INT, x[k + 1 + step1])));
        s2 = s2.add(c1.mul(IntVector.broadcast(Lanes.INT, x[k + 1 + step2])));
        s3 = s3.add(c1.mul(IntVector.broadcast(Lanes.INT, x[k + 1 + step3])));
        IntVector c2 = w.lanewise(LSHR, 4).and(mask);
        s0 = s0.add(c2.mul(IntVector.broadcast(Lanes.INT, x[k + 2])));
        s1 = s1.add(c2.mul(IntVector.broadcast(Lanes.INT, x[k + 2 + step1])));
        s2 = s2.add(c2.mul(IntVector.broadcast(Lanes.INT, x[k + 2 + step2])));
        s3 = s3.add(c2.mul(IntVector.broadcast(Lanes.INT, x[k + 2 + step3])));
        IntVector c3 = w.lanewise(LSHR, 12).and(mask);
        s0 = s0.add(c3.mul(IntVector.broadcast(Lanes.INT, x[k + 3])));
        s1 = s1.add(c3.mul(IntVector.broadcast(Lanes.INT, x[k + 3 + step1])));
        s2 = s2.add(c3.mul(IntVector.broadcast(Lanes.INT, x[k + 3 + step2])));
        s3 = s3.add(c3.mul(IntVector.broadcast(Lanes.INT, x[k + 3 + step3])));
      }
      final int at = g * SLOTS * Lanes.VIRTUAL + part;
      s0.lanewise(LSHR, 16).intoArray(sums, at);
      s1.lanewise(LSHR, 16).intoArray(sums, at + Lanes.VIRTUAL);
      s2.lanewise(LSHR, 16).intoArray(sums, at + 2 * Lanes.VIRTUAL);
      s3.lanewise(LSHR, 16).intoArray(sums, at + 3 * Lanes.VIRTUAL);
    }
  }

  private static IntVector word(long address) {
    return IntVector.fromMemorySegment(Lanes.INT, OffHeap.ALL, address, ByteOrder.LITTLE_ENDIAN);
  }

  /** A slot's sums with scales, from {@code sums[group][..] + at}; to {@code out[to]} and on. */
  private static void finish(
      long tile, int part, PreparedInput x, int token, int[] sums, int at, float[] out, int to) {
    IntVector sum = IntVector.zero(Lanes.INT);
    for (int g = 0; g < x.groups(); g++) {
      sum = sum.add(IntVector.fromArray(Lanes.INT, sums, g * SLOTS * Lanes.VIRTUAL + at));
    }
    final long trailer = tile + x.groups() * (long) W4Tile.BLOCK_BYTES;
    IntVector rows = word(trailer + W4Tile.SUMS_OFFSET + part * (long) Integer.BYTES);
    sum = sum.sub(rows.mul(x.rowZero(token))).add(x.rowCompletion(token));
    FloatVector scale = W3Meta.halves(trailer + part * (long) Short.BYTES).mul(x.rowScale(token));
    scale.mul((FloatVector) sum.convert(I2F, 0)).intoArray(out, to);
  }
}

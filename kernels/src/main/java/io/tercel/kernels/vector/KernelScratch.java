package io.tercel.kernels.vector;

import io.tercel.kernels.format.W3Block;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What one worker thread needs beside its operands; made once, at most a few hundred KiB. */
public final class KernelScratch {
  /** Tiles (or dense rows) and tokens that a GEMM's micro-kernel takes at once. */
  static final int SIDE = 4;

  /** Lane results on their way to y: [tile or row][token][16]. */
  final float[] lanes = new float[SIDE * SIDE * Lanes.VIRTUAL];

  /** Address of one group of four tiles as floats: [128 columns][tile][16]. */
  final long expanded;

  private final MemorySegment expandedSegment; // freed with this object

  /** Scales of four tiles: [tile][16]. */
  final float[] scales = new float[SIDE * Lanes.VIRTUAL];

  /** One group of inputs in the weights' order, and its codes. */
  final float[] group = new float[W3Block.GROUP];

  final int[] codes = new int[W3Block.GROUP];

  /** Chain sums of one micro-kernel: [half][token][tile][16]. */
  final float[] chains = new float[2 * SIDE * SIDE * Lanes.VIRTUAL];

  /** Running outputs of four tiles for all tokens: [token][tile][16]. */
  float[] outputs = new float[8 * SIDE * Lanes.VIRTUAL];

  public KernelScratch() {
    expandedSegment =
        Arena.ofAuto()
            .allocate(
                (long) W3Block.GROUP * SIDE * Lanes.VIRTUAL * Float.BYTES, W3Block.WORD_BYTES);
    expanded = expandedSegment.address();
  }

  /** Expanded dense rows: [4][whole blocks of columns]. */
  private float[] rows = new float[0];

  /** Four dense rows of {@code cols} floats. */
  float[] rows(int cols) {
    if (rows.length < SIDE * cols) {
      rows = new float[SIDE * cols];
    }
    return rows;
  }

  /** Sums of some tiles for every group: [group][tile][16]. */
  private int[] sums = new int[0];

  /** At least {@code size} sums. */
  int[] sums(int size) {
    if (sums.length < size) {
      sums = new int[size];
    }
    return sums;
  }

  /** Codes of inputs as ints. */
  private int[] ints = new int[0];

  /** At least {@code size} ints. */
  int[] ints(int size) {
    if (ints.length < size) {
      ints = new int[size];
    }
    return ints;
  }

  /** A row of inputs in the middle of its transform, and behind it. */
  private float[] transformed = new float[0];

  /** At least {@code size} floats. */
  float[] transformed(int size) {
    if (transformed.length < size) {
      transformed = new float[size];
    }
    return transformed;
  }

  /** A row of inputs on its way from a norm to its integers. */
  private float[] input = new float[0];

  /** At least {@code cols} floats. */
  float[] input(int cols) {
    if (input.length < cols) {
      input = new float[cols];
    }
    return input;
  }

  /** Grows {@link #outputs} for a larger batch. */
  float[] outputs(int tokens) {
    int size = tokens * SIDE * Lanes.VIRTUAL;
    if (outputs.length < size) {
      outputs = new float[size];
    }
    return outputs;
  }
}

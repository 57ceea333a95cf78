package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Turns a compressed-tensors weight into {@link W3Block}s, sixteen output rows at a time. Codes are
 * unpacked to bytes and gathered into groups; stored codes and zero points both have 4 added, so
 * that their difference is that of the signed ones. Weights keep their values exactly, and a group
 * with a negative scale is mirrored as {@link GptqDecoder} does. One instance serves one thread.
 */
public final class CompressedDecoder {
  private static final int ROWS = W3Block.ROWS;
  private static final int GROUP = W3Block.GROUP;
  private static final int MAX_CODE = 7;

  private final LinearSource.Compressed source;
  private final int groups;
  private final byte[] codes;
  private final byte[] blockCodes = new byte[ROWS * GROUP];
  private final short[] blockScales = new short[ROWS];
  private final byte[] blockZeros = new byte[ROWS];
  private final boolean[] mirrored = new boolean[ROWS];

  public CompressedDecoder(LinearSource.Compressed source) {
    this.source = source;
    this.groups = W3Block.groups(source.cols());
    this.codes = new byte[ROWS * source.cols()];
  }

  /**
   * Decodes rows [16 * rowBlock, 16 * rowBlock + 16) into their place.
   *
   * @param matrix the whole packed matrix, {@link W3Block#matrixBytes} long
   * @throws CheckpointException if a scale is not finite or not exactly an fp16
   */
  public void decode(int rowBlock, MemorySegment matrix) {
    int firstRow = rowBlock * ROWS;
    unpack(firstRow);
    for (int g = 0; g < groups; g++) {
      for (int r = 0; r < ROWS; r++) {
        int row = firstRow + r;
        short scale = GroupScale.bits(source.scale(), (long) row * groups + g, g, row);
        int zero = zero(g, row);
        mirrored[r] = scale < 0;
        blockScales[r] = (short) (scale & 0x7fff);
        blockZeros[r] = (byte) (mirrored[r] ? MAX_CODE - zero : zero);
      }
      gather(g);
      W3Block.pack(
          blockCodes, blockScales, blockZeros, matrix, W3Block.blockOffset(rowBlock, g, groups));
    }
  }

  /** Fills codes with [ROWS, cols] in file order. */
  private void unpack(int firstRow) {
    int cols = source.cols();
    long words = source.packing().words(cols);
    for (int r = 0; r < ROWS; r++) {
      long first = (firstRow + r) * words;
      for (int i = 0; i < cols; i++) {
        codes[r * cols + i] = (byte) source.packing().code(source.packed(), first, 1, i);
      }
    }
  }

  private int zero(int group, int row) {
    Tensor zeros = source.zeroPoint();
    return zeros == null
        ? GptqDecoder.SYMMETRIC_ZERO
        : source.packing().code(zeros, group, groups, row);
  }

  private void gather(int group) {
    int cols = source.cols();
    int first = group * GROUP;
    int count = Math.min(GROUP, cols - first);
    int[] order = source.inputOrder();
    for (int r = 0; r < ROWS; r++) {
      int mirror = mirrored[r] ? MAX_CODE : 0;
      for (int j = 0; j < count; j++) {
        int input = order == null ? first + j : order[first + j];
        blockCodes[r * GROUP + j] = (byte) (codes[r * cols + input] ^ mirror);
      }
      Arrays.fill(blockCodes, r * GROUP + count, (r + 1) * GROUP, (byte) 0);
    }
  }
}

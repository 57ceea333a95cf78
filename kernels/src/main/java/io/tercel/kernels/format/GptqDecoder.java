package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Turns a GPTQ weight into {@link W3Block}s, sixteen output rows at a time: the sixteen words that
 * a file row holds for them are neighbours there, so a file row is one cache line.
 *
 * <p>A column's codes are unpacked to bytes in the order of the file first and gathered into groups
 * after, which is what act-order needs; codes, scales and zero points keep their values exactly.
 * One instance serves one thread.
 */
public final class GptqDecoder {
  private static final ValueLayout.OfInt LE_INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final int ROWS = W3Block.ROWS;
  private static final int GROUP = W3Block.GROUP;

  private final LinearSource.Gptq source;
  private final int groups;
  private final byte[] codes;
  private final int[] words = new int[3 * ROWS];
  private final byte[] blockCodes = new byte[ROWS * GROUP];
  private final short[] blockScales = new short[ROWS];
  private final byte[] blockZeros = new byte[ROWS];

  public GptqDecoder(LinearSource.Gptq source) {
    this.source = source;
    this.groups = W3Block.groups(source.cols());
    this.codes = new byte[ROWS * source.cols()];
  }

  /**
   * Decodes rows [16 * rowBlock, 16 * rowBlock + 16) into their place.
   *
   * @param matrix the whole packed matrix, {@link W3Block#matrixBytes} long
   * @throws CheckpointException if a scale is negative or not finite, or not exactly an fp16
   */
  public void decode(int rowBlock, MemorySegment matrix) {
    int firstRow = rowBlock * ROWS;
    unpackColumns(firstRow);
    for (int g = 0; g < groups; g++) {
      gather(g);
      for (int r = 0; r < ROWS; r++) {
        blockScales[r] = scale(g, firstRow + r);
        blockZeros[r] = zero(g, firstRow + r);
      }
      long offset = W3Block.blockOffset(rowBlock, g, groups);
      W3Block.pack(blockCodes, blockScales, blockZeros, matrix, offset);
    }
  }

  /** Fills codes with [ROWS, cols] in file order. */
  private void unpackColumns(int firstRow) {
    int cols = source.cols();
    MemorySegment data = source.qweight().data();
    long fileRow = 4L * source.rows();
    for (int first = 0; first < cols; first += 32) {
      long at = first / 32 * 3 * fileRow + 4L * firstRow;
      for (int t = 0; t < 3; t++) {
        MemorySegment.copy(data, LE_INT, at + t * fileRow, words, t * ROWS, ROWS);
      }
      for (int r = 0; r < ROWS; r++) {
        unpack(words[r], words[ROWS + r], words[2 * ROWS + r], codes, r * cols + first);
      }
    }
  }

  /**
   * Thirty-two codes of a 96-bit stream: 21 from its low 64 bits, one astride, ten from the top.
   */
  private static void unpack(int w0, int w1, int w2, byte[] codes, int first) {
    long low = (w0 & 0xffffffffL) | (long) w1 << 32;
    for (int i = 0; i < 21; i++) {
      codes[first + i] = (byte) (low >>> 3 * i & 7);
    }
    codes[first + 21] = (byte) (low >>> 63 | (w2 & 3) << 1);
    for (int i = 0; i < 10; i++) {
      codes[first + 22 + i] = (byte) (w2 >>> 3 * i + 2 & 7);
    }
  }

  private void gather(int group) {
    int cols = source.cols();
    int first = group * GROUP;
    int count = Math.min(GROUP, cols - first);
    int[] order = source.inputOrder();
    for (int r = 0; r < ROWS; r++) {
      int to = r * GROUP;
      int from = r * cols;
      if (order == null) {
        System.arraycopy(codes, from + first, blockCodes, to, count);
      } else {
        for (int j = 0; j < count; j++) {
          blockCodes[to + j] = codes[from + order[first + j]];
        }
      }
      Arrays.fill(blockCodes, to + count, to + GROUP, (byte) 0);
    }
  }

  private short scale(int group, int row) {
    Tensor scales = source.scales();
    float value = scales.floatAt((long) group * source.rows() + row);
    short bits = Float.floatToFloat16(value);
    String wrong = null;
    if (!Float.isFinite(value)) {
      wrong = "a finite number";
    } else if (bits < 0) {
      wrong = "no negative one";
    } else if (Float.float16ToFloat(bits) != value) {
      wrong = "one that fp16 can hold exactly";
    }
    if (wrong != null) {
      throw new CheckpointException(
          "%s has the scale %s for group %d of output %d; expected %s"
              .formatted(scales.where(), value, group, row, wrong));
    }
    return bits;
  }

  private byte zero(int group, int row) {
    long line = (long) group * (source.rows() / 32 * 3);
    int bit = row % 32 * 3;
    long word = line + row / 32 * 3 + bit / 32;
    int shift = bit % 32;
    int stored = source.qzeros().intAt(word) >>> shift;
    if (shift > 29) {
      stored |= source.qzeros().intAt(word + 1) << 32 - shift;
    }
    return (byte) ((stored & 7) + source.zeroOffset() & 7);
  }
}

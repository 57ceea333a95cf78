package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Turns a GPTQ weight into {@link W3Block}s, sixteen output rows at a time: the sixteen words that
 * a file row holds for them are neighbours there, so a file row is one cache line.
 *
 * <p>In the natural order of inputs the bits are only moved, twelve words of a group at once. With
 * act-order the codes are unpacked to bytes first and gathered into groups after. Weights keep
 * their values exactly. One instance serves one thread.
 *
 * <p>A group with a negative scale, as AutoRound writes them where the weight of the largest size
 * is positive, is mirrored: s (q - z) = |s| ((7 - q) - (7 - z)). So scales in memory are never
 * negative, and 7 - q is the three bits of q turned over.
 */
public final class GptqDecoder {
  /** The zero point of a symmetric group. */
  static final int SYMMETRIC_ZERO = 4;

  /** The largest code. */
  private static final int MAX_CODE = 7;

  private static final ValueLayout.OfInt LE_INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final int ROWS = W3Block.ROWS;
  private static final int GROUP = W3Block.GROUP;

  private final LinearSource.Gptq source;
  private final int groups;
  private final int[] streams = new int[W3Block.WORDS * ROWS];
  private final byte[] codes;
  private final byte[] blockCodes = new byte[ROWS * GROUP];
  private final short[] blockScales = new short[ROWS];
  private final byte[] blockZeros = new byte[ROWS];
  private final boolean[] mirrored = new boolean[ROWS];

  public GptqDecoder(LinearSource.Gptq source) {
    this.source = source;
    this.groups = W3Block.groups(source.cols());
    this.codes = new byte[source.inputOrder() == null ? 0 : ROWS * source.cols()];
  }

  /**
   * Decodes rows [16 * rowBlock, 16 * rowBlock + 16) into their place.
   *
   * @param matrix the whole packed matrix, {@link W3Block#matrixBytes} long
   * @throws CheckpointException if a scale is not finite or not exactly an fp16, or a zero point is
   *     not what symmetry promises
   */
  public void decode(int rowBlock, MemorySegment matrix) {
    int firstRow = rowBlock * ROWS;
    int[] order = source.inputOrder();
    if (order != null) {
      unpackColumns(firstRow);
    }
    for (int g = 0; g < groups; g++) {
      for (int r = 0; r < ROWS; r++) {
        short scale = scale(g, firstRow + r);
        int zero = zero(g, firstRow + r, scale);
        mirrored[r] = scale < 0;
        blockScales[r] = (short) (scale & 0x7fff);
        blockZeros[r] = (byte) (mirrored[r] ? MAX_CODE - zero : zero);
      }
      long offset = W3Block.blockOffset(rowBlock, g, groups);
      if (order == null) {
        int fileRows = readStreams(g * W3Block.WORDS, firstRow);
        mirrorStreams(fileRows);
        W3Block.packStreams(streams, blockScales, blockZeros, matrix, offset);
      } else {
        gather(g, order);
        W3Block.pack(blockCodes, blockScales, blockZeros, matrix, offset);
      }
    }
  }

  /**
   * Reads twelve file rows' words of sixteen columns; past the last file row they are zero. Returns
   * how many there were.
   */
  private int readStreams(int firstFileRow, int firstColumn) {
    int fileRows = Math.min(W3Block.WORDS, source.cols() / 32 * 3 - firstFileRow);
    long fileRow = 4L * source.rows();
    long at = firstFileRow * fileRow + 4L * firstColumn;
    MemorySegment data = source.qweight().data();
    for (int w = 0; w < fileRows; w++) {
      MemorySegment.copy(data, LE_INT, at + w * fileRow, streams, w * ROWS, ROWS);
    }
    Arrays.fill(streams, fileRows * ROWS, streams.length, 0);
    return fileRows;
  }

  private void mirrorStreams(int fileRows) {
    for (int r = 0; r < ROWS; r++) {
      for (int w = 0; w < fileRows && mirrored[r]; w++) {
        streams[w * ROWS + r] = ~streams[w * ROWS + r];
      }
    }
  }

  /** Fills codes with [ROWS, cols] in file order. */
  private void unpackColumns(int firstRow) {
    int cols = source.cols();
    for (int first = 0; first < cols; first += GROUP) {
      readStreams(first / 32 * 3, firstRow);
      for (int chunk = 0; chunk < Math.min(GROUP, cols - first) / 32; chunk++) {
        int w = 3 * chunk * ROWS;
        for (int r = 0; r < ROWS; r++) {
          int to = r * cols + first + 32 * chunk;
          unpack(streams[w + r], streams[w + ROWS + r], streams[w + 2 * ROWS + r], codes, to);
        }
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

  private void gather(int group, int[] order) {
    int cols = source.cols();
    int first = group * GROUP;
    int count = Math.min(GROUP, cols - first);
    for (int r = 0; r < ROWS; r++) {
      int mirror = mirrored[r] ? MAX_CODE : 0;
      for (int j = 0; j < count; j++) {
        blockCodes[r * GROUP + j] = (byte) (codes[r * cols + order[first + j]] ^ mirror);
      }
      Arrays.fill(blockCodes, r * GROUP + count, (r + 1) * GROUP, (byte) 0);
    }
  }

  private short scale(int group, int row) {
    return GroupScale.bits(source.scales(), (long) group * source.rows() + row, group, row);
  }

  private int zero(int group, int row, short scale) {
    long line = (long) group * (source.rows() / 32 * 3);
    int bit = row % 32 * 3;
    long word = line + row / 32 * 3 + bit / 32;
    int shift = bit % 32;
    int stored = source.qzeros().intAt(word) >>> shift;
    if (shift > 29) {
      stored |= source.qzeros().intAt(word + 1) << 32 - shift;
    }
    int zero = (stored & 7) + source.zeroOffset() & 7;
    // a group of zeros means the same whatever its zero point
    if (source.symmetric() && zero != SYMMETRIC_ZERO && (scale & 0x7fff) != 0) {
      throw asymmetric(zero, stored & 7, group, row);
    }
    return zero;
  }

  private CheckpointException asymmetric(int zero, int stored, int group, int row) {
    String format = source.zeroOffset() == 1 ? "gptq" : "gptq_v2";
    boolean asOther = stored + (1 - source.zeroOffset()) == SYMMETRIC_ZERO;
    return new CheckpointException(
        "%s has the zero point %d (%d as stored in checkpoint_format %s) for group %d of output %d, but sym is true, which means %d; %s"
            .formatted(
                source.qzeros().where(),
                zero,
                stored,
                format,
                group,
                row,
                SYMMETRIC_ZERO,
                asOther
                    ? "it would be that in checkpoint_format "
                        + (source.zeroOffset() == 1 ? "gptq_v2" : "gptq")
                    : "if the zero points are meant, sym must be false"));
  }
}

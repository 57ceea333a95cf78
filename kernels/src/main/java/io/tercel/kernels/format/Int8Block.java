package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The unit of 8-bit weights in memory: 16 output rows by one group of 128 inputs, 2,112 bytes.
 *
 * <pre>
 * bytes    0..2047  32 words of 16 lanes: byte j of lane r of word w is column 4w + j of row r
 *       2048..2079  16 fp16 scales, one a row
 *       2080..2095  16 bytes of 128: the zero point of every row
 *       2096..2111  zero
 * </pre>
 *
 * Codes are symmetric, -127..127, and stored with {@link #ZERO} added: instructions that multiply
 * bytes want the weights unsigned. So a block is read as one of {@link W3Block} is, with a zero
 * point that is always the same.
 *
 * <p>A matrix is a sequence of blocks, the group index running fastest, then the tile of 16 rows.
 * Rows are padded to whole tiles with scale 0, columns to whole groups; activations are zero there.
 */
public final class Int8Block {
  /** Output rows of a block: the lanes. */
  public static final int ROWS = W3Block.ROWS;

  /** Inputs of a block: one quantization group. */
  public static final int GROUP = W3Block.GROUP;

  /** Columns of a word. */
  public static final int WORD_COLUMNS = 4;

  /** Words of a block. */
  public static final int WORDS = GROUP / WORD_COLUMNS;

  /** Bytes of one word of 16 lanes. */
  public static final int WORD_BYTES = ROWS * WORD_COLUMNS;

  /** What is added to a code where it is stored. */
  public static final int ZERO = 128;

  /** The largest magnitude of a code. */
  public static final int MAX_CODE = 127;

  /** Offset of the fp16 scales. */
  public static final int SCALES_OFFSET = WORDS * WORD_BYTES;

  /** Offset of the zero points. */
  public static final int ZEROS_OFFSET = SCALES_OFFSET + ROWS * Short.BYTES;

  /** Bytes of a block. */
  public static final int BLOCK_BYTES = SCALES_OFFSET + WORD_BYTES;

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Int8Block() {}

  /** Bytes of a [rows, cols] matrix: both are padded up to whole blocks. */
  public static long matrixBytes(int rows, int cols) {
    return blockOffset(W3Block.tiles(rows), 0, W3Block.groups(cols));
  }

  /** Offset of a block in a matrix that is {@code groups} groups wide. */
  public static long blockOffset(int tile, int group, int groups) {
    return ((long) tile * groups + group) * BLOCK_BYTES;
  }

  /**
   * Writes a whole block.
   *
   * @param codes [16][128] values -127..127, row-major
   * @param scales [16] fp16 bits
   * @param block receives {@link #BLOCK_BYTES} from {@code offset} on
   */
  public static void pack(byte[] codes, short[] scales, MemorySegment block, long offset) {
    byte[] bytes = new byte[BLOCK_BYTES];
    for (int r = 0; r < ROWS; r++) {
      for (int k = 0; k < GROUP; k++) {
        bytes[at(r, k)] = (byte) (codes[r * GROUP + k] + ZERO);
      }
    }
    Arrays.fill(bytes, ZEROS_OFFSET, ZEROS_OFFSET + ROWS, (byte) ZERO);
    MemorySegment.copy(bytes, 0, block, ValueLayout.JAVA_BYTE, offset, BLOCK_BYTES);
    MemorySegment.copy(scales, 0, block, SHORT, offset + SCALES_OFFSET, ROWS);
  }

  private static int at(int row, int k) {
    return k / WORD_COLUMNS * WORD_BYTES + row * WORD_COLUMNS + k % WORD_COLUMNS;
  }

  /** The code of column {@code k} (0..127) of a row of the block at {@code offset}. */
  public static int code(MemorySegment block, long offset, int row, int k) {
    return (block.get(ValueLayout.JAVA_BYTE, offset + at(row, k)) & 0xff) - ZERO;
  }

  /** fp16 bits of a row's scale. */
  public static short scale(MemorySegment block, long offset, int row) {
    return block.get(SHORT, offset + SCALES_OFFSET + (long) row * Short.BYTES);
  }
}

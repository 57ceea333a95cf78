package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * The unit of 4-bit weights in memory: 16 output rows by all inputs, in blocks of 128 inputs.
 *
 * <pre>
 * block g   1,024 bytes: 16 words of 16 lanes; byte j of lane r of word w holds of row r
 *           bits 0..3   column 128g + 8w + j
 *           bits 4..7   column 128g + 8w + 4 + j
 * after the last block
 *             32 bytes   16 fp16 scales, one a row
 *             64 bytes   16 ints: the sum of a row's codes
 *             32 bytes   zero
 * </pre>
 *
 * Codes are symmetric, -8..7, and stored with {@link #ZERO} added, so 0..15, since instructions
 * that multiply bytes ({@code vpdpbusd}) want the weights unsigned; sums are those of the stored
 * codes. An instruction that multiplies four bytes takes a half of a word as it lies, masked by
 * {@code 0x0f0f0f0f} or, sixteen times too large, by {@code 0xf0f0f0f0}.
 *
 * <p>Rows are padded to whole tiles with scale 0, columns to whole blocks with codes that are
 * stored as 0 and are in no sum; activations are zero there.
 */
public final class W4Tile {
  /** Output rows of a tile: the lanes. */
  public static final int ROWS = W3Block.ROWS;

  /** Inputs of a block. */
  public static final int BLOCK = W3Block.GROUP;

  /** Columns of a word. */
  public static final int WORD_COLUMNS = 8;

  /** Words of a block. */
  public static final int WORDS = BLOCK / WORD_COLUMNS;

  /** Bytes of one word of 16 lanes. */
  public static final int WORD_BYTES = W3Block.WORD_BYTES;

  /** Bytes of a block. */
  public static final int BLOCK_BYTES = WORDS * WORD_BYTES;

  /** What is added to a code where it is stored. */
  public static final int ZERO = 8;

  /** The least code; the greatest is 7. */
  public static final int MIN_CODE = -8;

  /** The greatest code. */
  public static final int MAX_CODE = 7;

  /** From the end of the last block to the sums. */
  public static final int SUMS_OFFSET = ROWS * Short.BYTES;

  /** Bytes of scales, sums and what pads them to whole cache lines. */
  public static final int TRAILER_BYTES = 2 * WORD_BYTES;

  private static final long NIBBLES = 0x0f0f_0f0f_0f0f_0f0fL;
  private static final long EIGHT_ZEROS = 0x0808_0808_0808_0808L;
  private static final long EIGHT_ONES = 0x0101_0101_0101_0101L;

  private static final VarHandle LONG_VIEW =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT_VIEW =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private W4Tile() {}

  /** Blocks of 128 that {@code cols} inputs take. */
  public static int blocks(int cols) {
    return W3Block.groups(cols);
  }

  /** Bytes of a tile. */
  public static long tileBytes(int cols) {
    return trailerOffset(cols) + TRAILER_BYTES;
  }

  /** Where in a tile the scales begin: behind the blocks. */
  public static long trailerOffset(int cols) {
    return (long) blocks(cols) * BLOCK_BYTES;
  }

  /** Bytes of a [rows, cols] matrix: both are padded up. */
  public static long matrixBytes(int rows, int cols) {
    return W3Block.tiles(rows) * tileBytes(cols);
  }

  /**
   * Writes a whole tile.
   *
   * @param codes [16][cols] values -8..7, row-major; of rows that there are none of, any
   * @param scales [16] fp16 bits, 0 for rows that there are none of
   * @param matrix receives {@link #tileBytes} from {@code offset} on
   */
  public static void pack(
      byte[] codes, int cols, short[] scales, MemorySegment matrix, long offset) {
    byte[] bytes = new byte[Math.toIntExact(trailerOffset(cols))];
    for (int r = 0; r < ROWS; r++) {
      int sum = 0;
      int k = 0;
      for (; k + WORD_COLUMNS <= cols; k += WORD_COLUMNS) {
        long stored = (long) LONG_VIEW.get(codes, r * cols + k) & NIBBLES ^ EIGHT_ZEROS;
        INT_VIEW.set(bytes, at(r, k), (int) (stored | stored >>> 28));
        sum += (int) (stored * EIGHT_ONES >>> 56);
      }
      for (; k < cols; k++) {
        int stored = codes[r * cols + k] + ZERO;
        sum += stored;
        bytes[at(r, k)] |= (byte) (stored << shift(k));
      }
      matrix.set(INT, offset + bytes.length + SUMS_OFFSET + (long) r * Integer.BYTES, sum);
    }
    MemorySegment.copy(bytes, 0, matrix, ValueLayout.JAVA_BYTE, offset, bytes.length);
    MemorySegment.copy(scales, 0, matrix, SHORT, offset + bytes.length, ROWS);
    long end = offset + bytes.length + SUMS_OFFSET + ROWS * Integer.BYTES;
    matrix.asSlice(end, offset + tileBytes(cols) - end).fill((byte) 0);
  }

  /** Whether all values are of -8..7. */
  public static boolean areCodes(byte[] codes) {
    int any = 0;
    for (byte code : codes) {
      any |= code + ZERO;
    }
    return (any & ~15) == 0;
  }

  /** How many of two tiles' codes differ. */
  public static int differingCodes(
      MemorySegment a, long aOffset, MemorySegment b, long bOffset, int cols) {
    int count = 0;
    for (long i = 0; i < trailerOffset(cols); i += Long.BYTES) {
      long word = a.get(LONG, aOffset + i) ^ b.get(LONG, bOffset + i);
      long any = word | word >>> 1;
      any |= any >>> 2;
      count += Long.bitCount(any & 0x1111_1111_1111_1111L);
    }
    return count;
  }

  /** A bit for each row whose codes differ. */
  public static int differingCodeRows(
      MemorySegment a, long aOffset, MemorySegment b, long bOffset, int cols) {
    int rows = 0;
    for (long i = 0; i < trailerOffset(cols); i += Integer.BYTES) {
      if (a.get(INT, aOffset + i) != b.get(INT, bOffset + i)) {
        rows |= 1 << (int) (i % WORD_BYTES / Integer.BYTES);
      }
    }
    return rows;
  }

  /** A bit for each row whose scales differ. */
  public static int differingScaleRows(
      MemorySegment a, long aOffset, MemorySegment b, long bOffset, int cols) {
    int rows = 0;
    for (int r = 0; r < ROWS; r++) {
      rows |= scale(a, aOffset, cols, r) == scale(b, bOffset, cols, r) ? 0 : 1 << r;
    }
    return rows;
  }

  private static int at(int row, int k) {
    return k / WORD_COLUMNS * WORD_BYTES + row * Integer.BYTES + k % Integer.BYTES;
  }

  private static int shift(int k) {
    return k % WORD_COLUMNS < Integer.BYTES ? 0 : 4;
  }

  /** The code -8..7 of a column of a row of the tile at {@code offset}. */
  public static int code(MemorySegment matrix, long offset, int row, int column) {
    int bytes = matrix.get(ValueLayout.JAVA_BYTE, offset + at(row, column)) & 0xff;
    return (bytes >>> shift(column) & 15) - ZERO;
  }

  /** fp16 bits of a row's scale. */
  public static short scale(MemorySegment matrix, long offset, int cols, int row) {
    return matrix.get(SHORT, offset + trailerOffset(cols) + (long) row * Short.BYTES);
  }

  /** The sum of a row's codes as they are stored. */
  public static int sum(MemorySegment matrix, long offset, int cols, int row) {
    long sums = offset + trailerOffset(cols) + SUMS_OFFSET;
    return matrix.get(INT, sums + (long) row * Integer.BYTES);
  }
}

package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The unit of 3-bit weights in memory: 16 output rows by one group of 128 inputs, 832 bytes. Twelve
 * vectors of 16 ints hold the codes, one more the fp16 scale (low half) and the zero point (high
 * half) of each row. Lane r of every vector belongs to row r.
 *
 * <p>A row's 128 codes of a group are twelve ints, its words. Word n holds columns 10n..10n+9 as
 * ten 3-bit fields and two spare bits below them; columns 120..127 live in the spare bits of three
 * words each pair:
 *
 * <pre>
 * word n            31..29 28..26        ...          7..5   4..2   1..0
 *                   10n+9  10n+8         ...         10n+1   10n    spare
 *
 * spare bits of words 3p, 3p+1, 3p+2:   a1 a0 | b1 b0 | c1 c0
 *   column 120+2p = a1 a0 b1      column 121+2p = b0 c1 c0
 * </pre>
 *
 * <p>The fields start at bit 2, not 0, so that field 6 already lies in the top three bits of a
 * float's mantissa: a kernel turns a field into the float 1 + code/8 with at most one shift and one
 * three-input logic operation. No field straddles two words.
 *
 * <p>A matrix is a sequence of blocks, the group index running fastest, then the tile of 16 rows.
 * Rows are padded to whole tiles with scale 0, columns to whole groups; activations are zero there.
 */
public final class W3Block {
  /** Output rows of a block: the lanes. */
  public static final int ROWS = 16;

  /** Inputs of a block: one quantization group. */
  public static final int GROUP = 128;

  /** Code vectors of a block: ints that a row's group takes. */
  public static final int WORDS = 12;

  /** Bytes of one vector of 16 ints. */
  public static final int VECTOR_BYTES = ROWS * Integer.BYTES;

  /** Offset of the vector with scales and zero points. */
  public static final int SCALES_OFFSET = WORDS * VECTOR_BYTES;

  /** Bytes of a block. */
  public static final int BLOCK_BYTES = SCALES_OFFSET + VECTOR_BYTES;

  /** Whole fields of a word. */
  public static final int FIELDS = 10;

  /** Columns that whole fields hold; the others live in spare bits. */
  public static final int FIELD_COLUMNS = WORDS * FIELDS;

  /** Lowest bit of field 0. */
  public static final int FIRST_BIT = 2;

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private W3Block() {}

  /** Tiles of 16 rows that {@code rows} outputs take. */
  public static int tiles(int rows) {
    return Math.ceilDiv(rows, ROWS);
  }

  /** Groups of 128 that {@code cols} inputs take. */
  public static int groups(int cols) {
    return Math.ceilDiv(cols, GROUP);
  }

  /** Bytes of a [rows, cols] matrix: both are padded up to whole blocks. */
  public static long matrixBytes(int rows, int cols) {
    return blockOffset(tiles(rows), 0, groups(cols));
  }

  /** Offset of a block in a matrix that is {@code groups} groups wide. */
  public static long blockOffset(int tile, int group, int groups) {
    return ((long) tile * groups + group) * BLOCK_BYTES;
  }

  /** The code 0..7 of column {@code k} (0..127) in the twelve words of one row. */
  public static int code(int[] words, int k) {
    if (k < FIELD_COLUMNS) {
      return field(words[k / FIELDS], k % FIELDS);
    }
    int first = (k - FIELD_COLUMNS) / 2 * 3;
    int six = spare(words[first], words[first + 1], words[first + 2]);
    return k % 2 == 0 ? six >>> 3 : six & 7;
  }

  /** Field {@code f} (0..9) of a word. */
  public static int field(int word, int f) {
    return word >>> (FIRST_BIT + 3 * f) & 7;
  }

  /** The six spare bits of three words: the even column's code above the odd column's. */
  public static int spare(int a, int b, int c) {
    return (a & 3) << 4 | (b & 3) << 2 | (c & 3);
  }

  /** Packs one row's 128 codes, from {@code codes[from]} on, into twelve words. */
  public static void packRow(byte[] codes, int from, int[] words) {
    for (int n = 0; n < WORDS; n++) {
      int pair = from + FIELD_COLUMNS + n / 3 * 2;
      int six = codes[pair] << 3 | codes[pair + 1];
      int word = six >>> (4 - n % 3 * 2) & 3;
      for (int f = 0; f < FIELDS; f++) {
        word |= codes[from + n * FIELDS + f] << (FIRST_BIT + 3 * f);
      }
      words[n] = word;
    }
  }

  /**
   * Writes a whole block.
   *
   * @param codes [16][128] values 0..7, row-major
   * @param scales [16] fp16 bits
   * @param zeros [16] zero points 0..7
   * @param block receives {@link #BLOCK_BYTES} from {@code offset} on
   */
  public static void pack(
      byte[] codes, short[] scales, byte[] zeros, MemorySegment block, long offset) {
    int[] words = new int[WORDS];
    for (int r = 0; r < ROWS; r++) {
      packRow(codes, r * GROUP, words);
      long lane = offset + (long) r * Integer.BYTES;
      for (int n = 0; n < WORDS; n++) {
        block.set(INT, lane + (long) n * VECTOR_BYTES, words[n]);
      }
      block.set(INT, lane + SCALES_OFFSET, scaleAndZero(scales[r], zeros[r]));
    }
  }

  /**
   * Writes a whole block from dense streams of 3-bit codes, column k of a row at bits [3k, 3k+3) of
   * its 384, as GPTQ stores them. Ten codes of a stream are thirty bits in a row, just as a word's
   * fields are, so nothing is taken apart but the last eight columns.
   *
   * @param streams [12][16]: int w of row r's stream at w * 16 + r
   * @param scales [16] fp16 bits
   * @param zeros [16] zero points 0..7
   * @param block receives {@link #BLOCK_BYTES} from {@code offset} on
   */
  public static void packStreams(
      int[] streams, short[] scales, byte[] zeros, MemorySegment block, long offset) {
    int lastWord = (WORDS - 1) * ROWS;
    int[] words = new int[WORDS * ROWS];
    for (int n = 0; n < WORDS; n++) {
      int bit = 3 * FIELDS * n;
      int low = bit / 32 * ROWS;
      int shift = bit % 32;
      int high = Math.min(low + ROWS, lastWord);
      int tailShift = 3 * FIELD_COLUMNS % 32 + n / 3 * 6;
      int spareShift = 4 - n % 3 * 2;
      for (int r = 0; r < ROWS; r++) {
        // a shift of 0 only happens where the low int holds all thirty bits
        int above = shift == 0 ? 0 : streams[high + r] << 32 - shift;
        int fields = streams[low + r] >>> shift | above;
        int tail = streams[lastWord + r] >>> tailShift;
        int six = (tail & 7) << 3 | tail >>> 3 & 7;
        words[n * ROWS + r] = fields << FIRST_BIT | six >>> spareShift & 3;
      }
    }
    MemorySegment.copy(words, 0, block, INT, offset, words.length);
    for (int r = 0; r < ROWS; r++) {
      block.set(INT, offset + SCALES_OFFSET + 4L * r, scaleAndZero(scales[r], zeros[r]));
    }
  }

  /** The inverse of {@link #pack}. */
  public static void unpack(
      MemorySegment block, long offset, byte[] codes, short[] scales, byte[] zeros) {
    int[] words = new int[WORDS];
    for (int r = 0; r < ROWS; r++) {
      long lane = offset + (long) r * Integer.BYTES;
      for (int n = 0; n < WORDS; n++) {
        words[n] = block.get(INT, lane + (long) n * VECTOR_BYTES);
      }
      for (int k = 0; k < GROUP; k++) {
        codes[r * GROUP + k] = (byte) code(words, k);
      }
      int meta = block.get(INT, lane + SCALES_OFFSET);
      scales[r] = (short) meta;
      zeros[r] = (byte) (meta >>> 16);
    }
  }

  /** A lane of the last vector: fp16 bits below, the zero point above. */
  public static int scaleAndZero(short scale, int zero) {
    return zero << 16 | (scale & 0xffff);
  }
}

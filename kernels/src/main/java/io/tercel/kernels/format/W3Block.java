package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * The unit of 3-bit weights in memory: 16 output rows by one group of 128 inputs, 832 bytes.
 *
 * <pre>
 * bytes    0..767   twelve words of 16 little-endian ints: the codes
 *        768..799   16 fp16 scales, one a row
 *        800..815   16 zero points 0..7, a byte a row
 *        816..831   zero
 * </pre>
 *
 * Lane r of every word, int r of its 64 bytes, belongs to row r. Three words, a triple, hold 32
 * columns of all rows; triple t is words a = 3t, b = 3t + 1 and c = 3t + 2. Each of the four bytes
 * of a lane holds the codes of columns that are equal modulo 4: in byte j
 *
 * <pre>
 *            bits 0..2          bits 3..5          bits 6..7
 * word a     column 32t + j     column 32t + 4 + j     s5 s4
 * word b     column 32t + 8 + j     column 32t + 12 + j     s3 s2
 * word c     column 32t + 16 + j    column 32t + 20 + j     s1 s0
 *
 * s2 s1 s0 = column 32t + 24 + j      s5 s4 s3 = column 32t + 28 + j
 * </pre>
 *
 * so that field f = 0..7 of triple t, byte j, is column 32t + 4f + j. The bytes of a field are four
 * neighbouring columns: an instruction that multiplies four unsigned bytes by four signed ones and
 * adds them to an int ({@code vpdpbusd}, {@code dp4a}) takes a field as it lies, masked by {@code
 * 0x07070707} or, eight times too large, by {@code 0x38383838}.
 *
 * <p>A matrix is a sequence of blocks, the group index running fastest, then the tile of 16 rows.
 * Rows are padded to whole tiles with scale 0, columns to whole groups; activations are zero there.
 */
public final class W3Block {
  /** Output rows of a block: the lanes. */
  public static final int ROWS = 16;

  /** Inputs of a block: one quantization group. */
  public static final int GROUP = 128;

  /** Code words of a block: ints that a row's group takes. */
  public static final int WORDS = 12;

  /** Bytes of one word of 16 lanes. */
  public static final int WORD_BYTES = ROWS * Integer.BYTES;

  /** Columns that three words hold. */
  public static final int TRIPLE_COLUMNS = 32;

  /** Triples of a block. */
  public static final int TRIPLES = GROUP / TRIPLE_COLUMNS;

  /** Fields of a triple: four columns each. */
  public static final int FIELDS = 8;

  /** Offset of the fp16 scales. */
  public static final int SCALES_OFFSET = WORDS * WORD_BYTES;

  /** Offset of the zero points. */
  public static final int ZEROS_OFFSET = SCALES_OFFSET + ROWS * Short.BYTES;

  /**
   * Bytes of a row's codes of a group where they lie one after another, as checkpoints have them.
   */
  public static final int ROW_BYTES = WORDS * Integer.BYTES;

  /** Bytes of a block. */
  public static final int BLOCK_BYTES = SCALES_OFFSET + WORD_BYTES;

  /** Selects the code of a field's lowest bits in each byte. */
  private static final int CODES = 0x0707_0707;

  /** Selects two bits of each byte. */
  private static final int PAIRS = 0x0303_0303;

  /** The same of eight bytes. */
  private static final long EIGHT_CODES = 0x0707_0707_0707_0707L;

  private static final VarHandle BYTES =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

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
    int a = words[k / TRIPLE_COLUMNS * 3];
    int b = words[k / TRIPLE_COLUMNS * 3 + 1];
    int c = words[k / TRIPLE_COLUMNS * 3 + 2];
    int field = k % TRIPLE_COLUMNS / 4;
    int word =
        switch (field / 2) {
          case 0 -> a;
          case 1 -> b;
          case 2 -> c;
          default -> six(a, b, c);
        };
    return word >>> 8 * (k % 4) + 3 * (field % 2) & 7;
  }

  /**
   * Fields 6 and 7 of a triple, which lie in the top bits of its bytes, where others have theirs.
   */
  private static int six(int a, int b, int c) {
    return (a >>> 6 & PAIRS) << 4 | (b >>> 6 & PAIRS) << 2 | c >>> 6 & PAIRS;
  }

  /**
   * Packs a triple of one row.
   *
   * @param low columns 0..20 of its 32 and the lowest bit of column 21: column k at bit 3k
   * @param high the other 32 bits of those 96
   * @param lane where the row's lane of the triple's first word lies
   */
  private static void packTriple(long low, int high, MemorySegment block, long lane) {
    int middle = (int) (low >>> 60) | high << 4;
    int six = pair(middle >>> 12, high >>> 20);
    int a = pair((int) low, (int) (low >>> 12)) | (six >>> 4 & PAIRS) << 6;
    int b = pair((int) (low >>> 24), (int) (low >>> 36)) | (six >>> 2 & PAIRS) << 6;
    int c = pair((int) (low >>> 48), middle) | (six & PAIRS) << 6;
    block.set(INT, lane, a);
    block.set(INT, lane + WORD_BYTES, b);
    block.set(INT, lane + 2L * WORD_BYTES, c);
  }

  /** The four codes in the lowest twelve bits of each, a byte a column, the second's above. */
  private static int pair(int first, int second) {
    return Integer.expand(first, CODES) | Integer.expand(second, CODES) << 3;
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
    for (int r = 0; r < ROWS; r++) {
      for (int t = 0; t < TRIPLES; t++) {
        int at = r * GROUP + t * TRIPLE_COLUMNS;
        long first = Long.compress((long) BYTES.get(codes, at), EIGHT_CODES);
        long second = Long.compress((long) BYTES.get(codes, at + 8), EIGHT_CODES);
        long third = Long.compress((long) BYTES.get(codes, at + 16), EIGHT_CODES);
        long fourth = Long.compress((long) BYTES.get(codes, at + 24), EIGHT_CODES);
        long low = first | second << 24 | third << 48;
        int high = (int) (third >>> 16 | fourth << 8);
        packTriple(low, high, block, lane(offset, r, t));
      }
    }
    packScales(scales, zeros, block, offset);
  }

  /** Whether all values are of 0..7; they are a multiple of eight in number. */
  public static boolean areCodes(byte[] codes) {
    long any = 0;
    for (int i = 0; i < codes.length; i += Long.BYTES) {
      any |= (long) BYTES.get(codes, i);
    }
    return (any & ~EIGHT_CODES) == 0;
  }

  /** How many of two blocks' codes differ. */
  public static int differingCodes(MemorySegment a, long aOffset, MemorySegment b, long bOffset) {
    int count = 0;
    for (int t = 0; t < TRIPLES; t++) {
      for (int r = 0; r < ROWS; r++) {
        long lane = lane(0, r, t);
        int first = a.get(INT, aOffset + lane) ^ b.get(INT, bOffset + lane);
        lane += WORD_BYTES;
        int second = a.get(INT, aOffset + lane) ^ b.get(INT, bOffset + lane);
        lane += WORD_BYTES;
        int third = a.get(INT, aOffset + lane) ^ b.get(INT, bOffset + lane);
        count += fields(first) + fields(second) + fields(third) + fields(six(first, second, third));
      }
    }
    return count;
  }

  /** A bit for each row whose codes differ. */
  public static int differingCodeRows(
      MemorySegment a, long aOffset, MemorySegment b, long bOffset) {
    int rows = 0;
    for (int n = 0; n < WORDS; n++) {
      for (int r = 0; r < ROWS; r++) {
        long lane = (long) n * WORD_BYTES + (long) r * Integer.BYTES;
        rows |= a.get(INT, aOffset + lane) == b.get(INT, bOffset + lane) ? 0 : 1 << r;
      }
    }
    return rows;
  }

  /** A bit for each row whose scales or zero points differ. */
  public static int differingScaleRows(
      MemorySegment a, long aOffset, MemorySegment b, long bOffset) {
    int rows = 0;
    for (int r = 0; r < ROWS; r++) {
      boolean same =
          scale(a, aOffset, r) == scale(b, bOffset, r)
              && zero(a, aOffset, r) == zero(b, bOffset, r);
      rows |= same ? 0 : 1 << r;
    }
    return rows;
  }

  /** How many of a word's eight fields of three bits are not 0. */
  private static int fields(int word) {
    int any = word | word >>> 1 | word >>> 2;
    return Integer.bitCount(any & 0x0909_0909);
  }

  private static long lane(long offset, int row, int triple) {
    return offset + 3L * triple * WORD_BYTES + (long) row * Integer.BYTES;
  }

  private static void packScales(short[] scales, byte[] zeros, MemorySegment block, long offset) {
    MemorySegment.copy(scales, 0, block, SHORT, offset + SCALES_OFFSET, ROWS);
    MemorySegment.copy(zeros, 0, block, ValueLayout.JAVA_BYTE, offset + ZEROS_OFFSET, ROWS);
    block.asSlice(offset + ZEROS_OFFSET + ROWS, ROWS).fill((byte) 0);
  }

  /**
   * Writes a whole block from dense streams of 3-bit codes, column k of a row at bits [3k, 3k+3) of
   * its 384, as GPTQ stores them.
   *
   * @param streams [12][16]: int w of row r's stream at w * 16 + r
   * @param scales [16] fp16 bits
   * @param zeros [16] zero points 0..7
   * @param block receives {@link #BLOCK_BYTES} from {@code offset} on
   */
  public static void packStreams(
      int[] streams, short[] scales, byte[] zeros, MemorySegment block, long offset) {
    for (int t = 0; t < TRIPLES; t++) {
      for (int r = 0; r < ROWS; r++) {
        int at = 3 * t * ROWS + r;
        long low = streams[at] & 0xffff_ffffL | (long) streams[at + ROWS] << 32;
        packTriple(low, streams[at + 2 * ROWS], block, lane(offset, r, t));
      }
    }
    packScales(scales, zeros, block, offset);
  }

  /** The inverse of {@link #pack}. */
  public static void unpack(
      MemorySegment block, long offset, byte[] codes, short[] scales, byte[] zeros) {
    int[] words = new int[WORDS];
    for (int r = 0; r < ROWS; r++) {
      readRow(block, offset, r, words);
      for (int k = 0; k < GROUP; k++) {
        codes[r * GROUP + k] = (byte) code(words, k);
      }
      scales[r] = scale(block, offset, r);
      zeros[r] = zero(block, offset, r);
    }
  }

  /**
   * Reads the codes of one row as a dense stream, column k at bits [3k, 3k+3), as GPTQ stores them.
   *
   * @param to receives {@link #ROW_BYTES} from {@code at} on
   */
  public static void readStream(MemorySegment block, long offset, int row, byte[] to, int at) {
    for (int t = 0; t < TRIPLES; t++) {
      long lane = lane(offset, row, t);
      int a = block.get(INT, lane);
      int b = block.get(INT, lane + WORD_BYTES);
      int c = block.get(INT, lane + 2L * WORD_BYTES);
      put24(a, to, at + 12 * t);
      put24(b, to, at + 12 * t + 3);
      put24(c, to, at + 12 * t + 6);
      put24(six(a, b, c), to, at + 12 * t + 9);
    }
  }

  /** The eight codes in a word's fields of three bits, three bytes of a stream. */
  private static void put24(int word, byte[] to, int at) {
    int eight = Integer.compress(word, CODES) | Integer.compress(word >>> 3, CODES) << 12;
    to[at] = (byte) eight;
    to[at + 1] = (byte) (eight >>> 8);
    to[at + 2] = (byte) (eight >>> 16);
  }

  /** The twelve words of one row of the block at {@code offset}. */
  public static void readRow(MemorySegment block, long offset, int row, int[] words) {
    for (int n = 0; n < WORDS; n++) {
      words[n] = block.get(INT, offset + (long) n * WORD_BYTES + (long) row * Integer.BYTES);
    }
  }

  /** fp16 bits of a row's scale. */
  public static short scale(MemorySegment block, long offset, int row) {
    return block.get(SHORT, offset + SCALES_OFFSET + (long) row * Short.BYTES);
  }

  /** A row's zero point. */
  public static byte zero(MemorySegment block, long offset, int row) {
    return block.get(ValueLayout.JAVA_BYTE, offset + ZEROS_OFFSET + row);
  }

  /** Sets a row's scale, as fp16 bits, and its zero point. */
  public static void setScale(MemorySegment block, long offset, int row, short scale, byte zero) {
    block.set(SHORT, offset + SCALES_OFFSET + (long) row * Short.BYTES, scale);
    block.set(ValueLayout.JAVA_BYTE, offset + ZEROS_OFFSET + row, zero);
  }
}

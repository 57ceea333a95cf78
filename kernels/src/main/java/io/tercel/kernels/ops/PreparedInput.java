package io.tercel.kernels.ops;

import io.tercel.kernels.format.W4Tile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The input of a {@link io.tercel.kernels.memory.Projection} for all rows of a step, as its {@link
 * io.tercel.kernels.memory.InputSpec} asks: one of the three forms below. {@link Ops#prepare} fills
 * it, {@link Ops#linear} reads it any number of times until it is filled again. Buffers grow with
 * the largest input seen and are reused.
 *
 * <pre>
 * plain      values  float[]   [token][column]; may be the array that was given to prepare
 *
 * 16 bits    codes   off heap  [group][token] of 256 bytes: the low bytes of 128 codes, then the high ones,
 *                              in the order of the weights' columns, zeros after the last
 *            meta    off heap  [group][token] of 8 bytes: the fp32 scale, then the int sum of the codes
 *
 * 4 bits     codes   off heap  [group][token] of 128 bytes, one a code 0..15, zeros after the last
 *            meta    off heap  [token] of 16 bytes: the fp32 scale, then ints: the zero point, the sum of
 *                              the codes, and 8 (columns x zero point - sum)
 * </pre>
 *
 * The tokens of a group are neighbours, so that a kernel that takes a few tokens through one block
 * of weights finds them at fixed distances. Both regions begin at a multiple of 64 bytes.
 */
public final class PreparedInput {
  /** Bytes of one token's group of codes: {@link GroupedInts#GROUP} low ones, as many high ones. */
  public static final int CODE_BYTES = 2 * GroupedInts.GROUP;

  /** Bytes of one token's scale and sum of codes of a group. */
  public static final int META_BYTES = Float.BYTES + Integer.BYTES;

  /** Bytes of one token's group of codes of 4 bits. */
  public static final int ROW_CODE_BYTES = GroupedInts.GROUP;

  /** Bytes of one token's scale, zero point and sums. */
  public static final int ROW_META_BYTES = 4 * Integer.BYTES;

  private static final int ALIGNMENT = 64;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private int tokens;
  private int cols;
  private int groups;
  private float[] values = {};
  private float[] own = {};
  private float[] arranged = {};
  private int[] arrangedInts = {};
  private MemorySegment codes = MemorySegment.NULL;
  private MemorySegment meta = MemorySegment.NULL;

  /**
   * Bytes of all buffers once inputs of up to this size have been prepared.
   *
   * @param integers or else plain
   */
  public static long bytes(int tokens, int cols, boolean integers) {
    long groups = Math.ceilDiv(cols, GroupedInts.GROUP);
    return integers
        ? tokens * groups * (CODE_BYTES + META_BYTES + GroupedInts.GROUP * Float.BYTES)
        : 2L * tokens * cols * Float.BYTES;
  }

  /**
   * Becomes a plain input.
   *
   * @param x [tokens][cols], not copied: to be left alone until the linears have read it
   */
  public void plain(float[] x, int tokens, int cols) {
    shape(tokens, cols);
    values = x;
  }

  /** Becomes a plain input whose values the caller writes to the array that this returns. */
  public float[] plain(int tokens, int cols) {
    if (own.length < (long) tokens * cols) {
      own = new float[Math.multiplyExact(tokens, cols)];
    }
    plain(own, tokens, cols);
    return own;
  }

  /**
   * Becomes an input of integers; {@link #round} or the backend fills every group of every token.
   */
  public void grouped(int tokens, int cols) {
    shape(tokens, cols);
    values = new float[0];
    long pieces = (long) tokens * groups;
    codes = grown(codes, pieces * CODE_BYTES);
    meta = grown(meta, pieces * META_BYTES);
  }

  /** Becomes an input of 4-bit integers; the backend fills every row. */
  public void rows(int tokens, int cols) {
    shape(tokens, cols);
    values = new float[0];
    codes = grown(codes, (long) tokens * groups * ROW_CODE_BYTES);
    meta = grown(meta, (long) tokens * ROW_META_BYTES);
  }

  /** A segment that is freed with the last who reads it. */
  private static MemorySegment grown(MemorySegment present, long bytes) {
    return present.byteSize() >= bytes ? present : Arena.ofAuto().allocate(bytes, ALIGNMENT);
  }

  private void shape(int tokens, int cols) {
    this.tokens = tokens;
    this.cols = cols;
    this.groups = Math.ceilDiv(cols, GroupedInts.GROUP);
  }

  /**
   * Rounds one group of one token, as {@link GroupedInts} defines it.
   *
   * @param x 128 floats from {@code at} on, in the order of the weights' columns, zeros after the
   *     last
   */
  public void round(int token, int group, float[] x, int at) {
    int magnitude = GroupedInts.magnitude(x, at, GroupedInts.GROUP);
    float factor = GroupedInts.factor(magnitude);
    long to = codesOffset(token, group);
    int sum = 0;
    for (int k = 0; k < GroupedInts.GROUP; k++) {
      int code = GroupedInts.code(x[at + k], factor);
      codes.set(ValueLayout.JAVA_BYTE, to + k, GroupedInts.low(code));
      codes.set(ValueLayout.JAVA_BYTE, to + GroupedInts.GROUP + k, GroupedInts.high(code));
      sum += code;
    }
    meta(token, group, GroupedInts.scale(magnitude), sum);
  }

  /** Sets the scale and the sum of codes of one group of one token. */
  public void meta(int token, int group, float scale, int sum) {
    long at = metaOffset(token, group);
    meta.set(FLOAT, at, scale);
    meta.set(INT, at + Float.BYTES, sum);
  }

  /** Sets the scale, the zero point and the sum of codes of one token of 4-bit integers. */
  public void rowMeta(int token, float scale, int zero, int sum) {
    long at = rowMetaOffset(token);
    meta.set(FLOAT, at, scale);
    meta.set(INT, at + 4, zero);
    meta.set(INT, at + 8, sum);
    meta.set(INT, at + 12, W4Tile.ZERO * (cols * zero - sum));
  }

  /** Rows. */
  public int tokens() {
    return tokens;
  }

  /** Inputs of a row, padding not counted. */
  public int cols() {
    return cols;
  }

  /** Groups of 128 of a row, the last perhaps not full. */
  public int groups() {
    return groups;
  }

  /** Of a plain input: [tokens][cols]. */
  public float[] values() {
    return values;
  }

  /** Of an input of integers: the code of a packed column, padding included. */
  public int code(int token, int column) {
    long at = codesOffset(token, column / GroupedInts.GROUP) + column % GroupedInts.GROUP;
    return codes.get(ValueLayout.JAVA_BYTE, at)
        + 256 * codes.get(ValueLayout.JAVA_BYTE, at + GroupedInts.GROUP);
  }

  /** Of an input of integers: what a group's codes are to be multiplied by. */
  public float scale(int token, int group) {
    return meta.get(FLOAT, metaOffset(token, group));
  }

  /** Of an input of integers: the sum of a group's codes. */
  public int sum(int token, int group) {
    return meta.get(INT, metaOffset(token, group) + Float.BYTES);
  }

  /** Of an input of 4-bit integers: the code of a column, padding included. */
  public int rowCode(int token, int column) {
    long group = rowCodesOffset(token, column / GroupedInts.GROUP);
    return codes.get(ValueLayout.JAVA_BYTE, group + column % GroupedInts.GROUP);
  }

  /** Of an input of 4-bit integers: what a token's codes are to be multiplied by. */
  public float rowScale(int token) {
    return meta.get(FLOAT, rowMetaOffset(token));
  }

  /** Of an input of 4-bit integers: the code that stands for 0. */
  public int rowZero(int token) {
    return meta.get(INT, rowMetaOffset(token) + 4);
  }

  /** Of an input of 4-bit integers: the sum of a token's codes. */
  public int rowSum(int token) {
    return meta.get(INT, rowMetaOffset(token) + 8);
  }

  /** Of an input of 4-bit integers: 8 (columns x zero point - sum), which completes a product. */
  public int rowCompletion(int token) {
    return meta.get(INT, rowMetaOffset(token) + 12);
  }

  /** Where in {@link #codes} the bytes of a token's group of 4-bit integers begin. */
  public long rowCodesOffset(int token, int group) {
    return ((long) group * tokens + token) * ROW_CODE_BYTES;
  }

  /** Where in {@link #meta} a token of 4-bit integers begins. */
  public long rowMetaOffset(int token) {
    return (long) token * ROW_META_BYTES;
  }

  /** The codes' region: see the class; larger than what is in use, maybe. */
  public MemorySegment codes() {
    return codes;
  }

  /** The region of scales and sums. */
  public MemorySegment meta() {
    return meta;
  }

  /** Where in {@link #codes} the low bytes of a token's group begin. */
  public long codesOffset(int token, int group) {
    return ((long) group * tokens + token) * CODE_BYTES;
  }

  /** Where in {@link #meta} a token's group begins. */
  public long metaOffset(int token, int group) {
    return ((long) group * tokens + token) * META_BYTES;
  }

  /** At least so many floats in which a backend keeps this input as its own kernels read it. */
  public float[] arranged(int size) {
    if (arranged.length < size) {
      arranged = new float[size];
    }
    return arranged;
  }

  /** At least so many ints for the same use. */
  public int[] arrangedInts(int size) {
    if (arrangedInts.length < size) {
      arrangedInts = new int[size];
    }
    return arrangedInts;
  }
}

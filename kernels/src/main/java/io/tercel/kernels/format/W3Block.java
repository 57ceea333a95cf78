package io.tercel.kernels.format;

/**
 * The unit of 3-bit weights in memory: 16 output rows by one group of 128 inputs, 832 bytes. Twelve
 * vectors of 16 ints hold the codes, one more the fp16 scale (low half) and the zero point (high
 * half) of each row.
 */
public final class W3Block {
  /** Output rows of a block: the lanes. */
  public static final int ROWS = 16;

  /** Inputs of a block: one quantization group. */
  public static final int GROUP = 128;

  /** Bytes of a block. */
  public static final int BLOCK_BYTES = 13 * ROWS * Integer.BYTES;

  private W3Block() {}

  /** Bytes of a [rows, cols] matrix: both are padded up to whole blocks. */
  public static long matrixBytes(int rows, int cols) {
    return (long) Math.ceilDiv(rows, ROWS) * Math.ceilDiv(cols, GROUP) * BLOCK_BYTES;
  }
}

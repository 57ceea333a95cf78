package io.tercel.trainer.quant;

/**
 * A weight matrix [rows, cols] in 4 bits, unpacked: signed codes, and a scale for every row. Not to
 * be changed once it is handed on.
 */
public final class W4Matrix {
  private final int rows;
  private final int cols;
  private final byte[] codes;
  private final float[] scales;

  /**
   * @param codes [rows, cols], -8..7
   * @param scales [rows], fp16 values
   */
  public W4Matrix(int rows, int cols, byte[] codes, float[] scales) {
    if (codes.length != Math.multiplyExact(rows, cols) || scales.length != rows) {
      throw new IllegalArgumentException(
          "%d codes and %d scales for %d x %d".formatted(codes.length, scales.length, rows, cols));
    }
    this.rows = rows;
    this.cols = cols;
    this.codes = codes;
    this.scales = scales;
  }

  /**
   * Of what {@link #packed} gave.
   *
   * @param packed [rows, cols / 2]
   */
  public static W4Matrix unpack(int rows, int cols, byte[] packed, float[] scales) {
    byte[] codes = new byte[2 * packed.length];
    for (int i = 0; i < packed.length; i++) {
      codes[2 * i] = (byte) (packed[i] << 28 >> 28);
      codes[2 * i + 1] = (byte) (packed[i] >> 4);
    }
    return new W4Matrix(rows, cols, codes, scales);
  }

  public int rows() {
    return rows;
  }

  public int cols() {
    return cols;
  }

  /** [rows, cols], -8..7; a view. */
  public byte[] codes() {
    return codes;
  }

  /** [rows], fp16 values; a view. */
  public float[] scales() {
    return scales;
  }

  /** s q: what the matrix stands for, [rows, cols]. */
  public float[] dequantize() {
    float[] weight = new float[codes.length];
    for (int i = 0; i < weight.length; i++) {
      weight[i] = scales[i / cols] * codes[i];
    }
    return weight;
  }

  /**
   * Two's complement nibbles, column 2j in the low one.
   *
   * @return [rows, cols / 2]
   * @throws IllegalStateException if the columns are odd in number
   */
  public byte[] packed() {
    if (cols % 2 != 0) {
      throw new IllegalStateException(cols + " columns don't pair up");
    }
    byte[] bytes = new byte[codes.length / 2];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (codes[2 * i] & 15 | codes[2 * i + 1] << 4);
    }
    return bytes;
  }

  /** The scales' fp16 bits, [rows]. */
  public short[] scaleBits() {
    short[] bits = new short[rows];
    for (int i = 0; i < rows; i++) {
      bits[i] = Float.floatToFloat16(scales[i]);
    }
    return bits;
  }
}

package io.tercel.trainer.quant;

/**
 * A weight matrix [rows, cols] in 3 bits, unpacked: codes, and a scale and a zero point for every
 * 128 consecutive inputs of a row. Not to be changed once it is handed on.
 */
public final class QuantizedMatrix {
  private final int rows;
  private final int cols;
  private final byte[] codes;
  private final float[] scales;
  private final byte[] zeros;

  /**
   * @param codes [rows, cols], 0..7
   * @param scales [rows, groups], fp16 values
   * @param zeros [rows, groups], 0..7
   */
  public QuantizedMatrix(int rows, int cols, byte[] codes, float[] scales, byte[] zeros) {
    int groups = Grid.groups(cols);
    if (codes.length != Math.multiplyExact(rows, cols)
        || scales.length != rows * groups
        || zeros.length != rows * groups) {
      throw new IllegalArgumentException(
          "%d codes, %d scales and %d zero points for %d x %d"
              .formatted(codes.length, scales.length, zeros.length, rows, cols));
    }
    this.rows = rows;
    this.cols = cols;
    this.codes = codes;
    this.scales = scales;
    this.zeros = zeros;
  }

  /** All zero, to be filled. */
  public static QuantizedMatrix empty(int rows, int cols) {
    int groups = Grid.groups(cols);
    return new QuantizedMatrix(
        rows,
        cols,
        new byte[Math.multiplyExact(rows, cols)],
        new float[rows * groups],
        new byte[rows * groups]);
  }

  public int rows() {
    return rows;
  }

  public int cols() {
    return cols;
  }

  public int groups() {
    return Grid.groups(cols);
  }

  /** [rows, cols], 0..7. */
  public byte[] codes() {
    return codes;
  }

  /** [rows, groups], fp16 values. */
  public float[] scales() {
    return scales;
  }

  /** [rows, groups], 0..7. */
  public byte[] zeros() {
    return zeros;
  }

  /** Smallest zero point of all groups. */
  public int minZero() {
    int min = Grid.MAX_CODE;
    for (byte zero : zeros) {
      min = Math.min(min, zero);
    }
    return min;
  }

  /** s (code - z): what the matrix stands for, [rows, cols]. */
  public float[] dequantize() {
    float[] weight = new float[codes.length];
    for (int row = 0; row < rows; row++) {
      for (int j = 0; j < cols; j++) {
        int group = row * groups() + j / Grid.GROUP;
        weight[row * cols + j] = Grid.value(codes[row * cols + j], scales[group], zeros[group]);
      }
    }
    return weight;
  }

  /** Sets one row's groups to a fit of the given weights. */
  public void fitRow(GroupFit fit, float[] w, int from, int row) {
    for (int g = 0; g < groups(); g++) {
      fitGroup(fit, w, from, row, g);
    }
  }

  /** Sets one group to a fit of its weights, which lie in a row that begins at {@code from}. */
  public void fitGroup(GroupFit fit, float[] w, int from, int row, int group) {
    int first = group * Grid.GROUP;
    fit.fit(w, from + first, Math.min(Grid.GROUP, cols - first));
    scales[row * groups() + group] = fit.scale();
    zeros[row * groups() + group] = (byte) fit.zero();
  }
}

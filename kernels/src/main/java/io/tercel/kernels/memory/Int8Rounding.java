package io.tercel.kernels.memory;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Rounds a dense matrix to symmetric 8-bit codes. The scale of a row's group of 128 is its largest
 * magnitude over 127, to the nearest half; codes are rounded with that half, to the nearest, ties
 * to even, and clipped at 127. A group whose scale is 0 as a half becomes zeros.
 */
final class Int8Rounding {
  private final MemorySegment dense;
  private final Dense format;
  private final PackedMatrix target;
  private final float[] values = new float[Int8Block.GROUP];
  private final byte[] codes = new byte[Int8Block.ROWS * Int8Block.GROUP];
  private final short[] scales = new short[Int8Block.ROWS];

  private Int8Rounding(MemorySegment dense, Dense format, PackedMatrix target) {
    this.dense = dense;
    this.format = format;
    this.target = target;
  }

  /**
   * Fills a matrix of {@link Grouped#INT8G128}.
   *
   * @param dense finite weights of the target's shape, row-major
   * @throws CheckpointException if a group is too large for a half
   */
  static RoundingLoss round(
      MemorySegment dense, Dense format, PackedMatrix target, RowTasks tasks) {
    if (target.format() != Grouped.INT8G128) {
      throw new IllegalArgumentException(target.name() + " is " + target.format().label());
    }
    double[] squares = new double[target.rows()];
    double[] errors = new double[target.rows()];
    tasks.forEach(
        W3Block.tiles(target.rows()),
        () -> {
          Int8Rounding rounding = new Int8Rounding(dense, format, target);
          return tile -> rounding.tile(tile, squares, errors);
        });
    double square = 0;
    double error = 0;
    double worst = 0;
    for (int r = 0; r < squares.length; r++) {
      square += squares[r];
      error += errors[r];
      worst = Math.max(worst, ratio(errors[r], squares[r]));
    }
    return new RoundingLoss(ratio(error, square), worst);
  }

  private static double ratio(double error, double square) {
    return error == 0 ? 0 : Math.sqrt(error / square);
  }

  private void tile(int tile, double[] squares, double[] errors) {
    int groups = W3Block.groups(target.cols());
    int first = tile * Int8Block.ROWS;
    int rows = Math.min(Int8Block.ROWS, target.rows() - first);
    for (int g = 0; g < groups; g++) {
      Arrays.fill(codes, (byte) 0);
      Arrays.fill(scales, (short) 0);
      for (int r = 0; r < rows; r++) {
        group(first + r, g, r, squares, errors);
      }
      Int8Block.pack(codes, scales, target.segment(), Int8Block.blockOffset(tile, g, groups));
    }
  }

  private void group(int row, int group, int r, double[] squares, double[] errors) {
    int from = group * Int8Block.GROUP;
    int count = Math.min(Int8Block.GROUP, target.cols() - from);
    float largest = 0;
    for (int k = 0; k < count; k++) {
      values[k] = format.element(dense, (long) row * target.cols() + from + k);
      largest = Math.max(largest, Math.abs(values[k]));
    }
    scales[r] = Float.floatToFloat16(largest / Int8Block.MAX_CODE);
    float scale = Float.float16ToFloat(scales[r]);
    if (!Float.isFinite(scale)) {
      throw new CheckpointException(
          "%s: %s in row %d is too large for 8 bits; choose --lm-head-dtype auto"
              .formatted(target.name(), largest, row));
    }
    for (int k = 0; k < count; k++) {
      int code = scale == 0 ? 0 : (int) Math.rint((double) values[k] / scale);
      code = Math.clamp(code, -Int8Block.MAX_CODE, Int8Block.MAX_CODE);
      codes[r * Int8Block.GROUP + k] = (byte) code;
      double error = (double) values[k] - (double) code * scale;
      squares[row] += (double) values[k] * values[k];
      errors[row] += error * error;
    }
  }
}

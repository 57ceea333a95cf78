package io.tercel.trainer.share;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.PatchWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** One thread's packing of rounded latents, sixteen rows at a time. */
final class TilePacker {
  /** Elements of a dense matrix that are rounded at a time. */
  static final int DENSE_PIECE = 1 << 15;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final ValueLayout.OfInt BITS = ValueLayout.JAVA_INT;
  private static final int ROWS = W3Block.ROWS;
  private static final int GROUP = W3Block.GROUP;
  private static final int INFINITY = 0x7f80_0000;

  private final PatchWriter writer;
  private final float[] piece = new float[DENSE_PIECE];
  private final byte[] block = new byte[ROWS * GROUP];
  private final short[] scales = new short[ROWS];
  private final byte[] zeros = new byte[ROWS];
  private byte[] row = {};
  private byte[] codes = {};

  TilePacker(PatchWriter writer) {
    this.writer = writer;
  }

  /**
   * Rounds and packs rows [16 tile, 16 tile + 16).
   *
   * @throws ArithmeticException if a latent is not finite
   * @throws io.tercel.kernels.memory.NonFiniteWeightsException if a scale is not
   */
  void pack(TrainedTensor.Linear linear, PackedMatrix target, int tile) {
    WeightRounding rounding = linear.rounding();
    int cols = rounding.cols();
    int rows = Math.min(ROWS, rounding.rows() - tile * ROWS);
    if (row.length != cols) {
      row = new byte[cols];
      codes = new byte[ROWS * cols];
    }
    for (int r = 0; r < rows; r++) {
      requireFinite(linear, tile * ROWS + r);
      rounding.codes(linear.values(), tile * ROWS + r, row);
      System.arraycopy(row, 0, codes, r * cols, cols);
    }
    Arrays.fill(codes, rows * cols, codes.length, (byte) 0);
    if (target.format() == QuantFormat.PerRow.W4A4) {
      readScales(linear, tile, rows, 0);
      writer.tile(target, tile, codes, scales);
      return;
    }
    for (int group = 0; group < W3Block.groups(cols); group++) {
      readScales(linear, tile, rows, group);
      gather(cols, group);
      writer.block(target, tile, group, block, scales, zeros);
    }
  }

  /** A NaN would be rounded to some code and be served, unlike what is trained. */
  private static void requireFinite(TrainedTensor.Linear linear, int row) {
    MemorySegment latents = linear.values();
    int cols = linear.rounding().cols();
    long first = (long) row * cols;
    int most = 0;
    for (int k = 0; k < cols; k++) {
      most = Math.max(most, latents.getAtIndex(BITS, first + k) & 0x7fff_ffff);
    }
    for (int k = 0; most >= INFINITY && k < cols; k++) {
      float latent = latents.getAtIndex(FLOAT, first + k);
      if (!Float.isFinite(latent)) {
        throw new ArithmeticException(
            "%s has the latent %s in row %d, column %d; nothing is published"
                .formatted(linear.name(), latent, row, k));
      }
    }
  }

  private void readScales(TrainedTensor.Linear linear, int tile, int rows, int group) {
    Arrays.fill(scales, (short) 0);
    Arrays.fill(zeros, (byte) 0);
    for (int r = 0; r < rows; r++) {
      int row = tile * ROWS + r;
      float scale = linear.rounding().scale(row, group);
      scales[r] = Float.floatToFloat16(scale);
      if (Float.isFinite(scale) && Float.float16ToFloat(scales[r]) != scale) {
        throw new IllegalArgumentException(
            "%s has the scale %s in row %d, group %d, which is no fp16: others would be served than are trained"
                .formatted(linear.name(), scale, row, group));
      }
      zeros[r] = (byte) linear.rounding().zero(row, group);
    }
  }

  private void gather(int cols, int group) {
    int first = group * GROUP;
    int count = Math.min(GROUP, cols - first);
    for (int r = 0; r < ROWS; r++) {
      System.arraycopy(codes, r * cols + first, block, r * GROUP, count);
      Arrays.fill(block, r * GROUP + count, (r + 1) * GROUP, (byte) 0);
    }
  }

  /** Rounds elements of a dense matrix to its type, {@link #DENSE_PIECE} of them or the last. */
  void round(TrainedTensor.Floats floats, PackedMatrix target, int pieceIndex) {
    long first = (long) pieceIndex * DENSE_PIECE;
    int count = (int) Math.min(DENSE_PIECE, (long) target.rows() * target.cols() - first);
    MemorySegment.copy(floats.values(), FLOAT, Float.BYTES * first, piece, 0, count);
    writer.dense(target, first, piece, count);
  }

  /** A norm, a bias, or a part of a transform. */
  void copy(TrainedTensor.Floats floats, float[] target) {
    float[] values = floats.values().toArray(FLOAT);
    if (floats.name().endsWith("clip")) {
      for (float clip : values) {
        if (!(clip > 0 && clip <= 1)) {
          throw new ArithmeticException(
              "%s is %s; clips are above 0 and at most 1, and nothing is published"
                  .formatted(floats.name(), clip));
        }
      }
    }
    writer.vector(floats.name(), target, values);
  }
}

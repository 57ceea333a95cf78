package io.tercel.trainer.share;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;

/** Reads packed matrices value by value. */
final class StoredWeights {
  private StoredWeights() {}

  /** [rows, cols], as it is computed with. */
  static float[] unpacked(PackedMatrix matrix) {
    int cols = matrix.cols();
    float[] values = new float[matrix.rows() * cols];
    int[] words = new int[W3Block.WORDS];
    for (int i = 0; i < values.length; i++) {
      int row = i / cols;
      int tile = row / 16;
      int col = i % cols;
      if (matrix.format() instanceof QuantFormat.Dense dense) {
        values[i] = dense.element(matrix.segment(), i);
      } else if (matrix.format() == QuantFormat.PerRow.W4A4) {
        long at = tile * W4Tile.tileBytes(cols);
        float scale = Float.float16ToFloat(W4Tile.scale(matrix.segment(), at, cols, row % 16));
        values[i] = scale * W4Tile.code(matrix.segment(), at, row % 16, col);
      } else {
        long at = W3Block.blockOffset(tile, col / 128, W3Block.groups(cols));
        W3Block.readRow(matrix.segment(), at, row % 16, words);
        float scale = Float.float16ToFloat(W3Block.scale(matrix.segment(), at, row % 16));
        values[i] =
            scale * (W3Block.code(words, col % 128) - W3Block.zero(matrix.segment(), at, row % 16));
      }
    }
    return values;
  }
}

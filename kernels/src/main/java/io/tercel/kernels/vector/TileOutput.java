package io.tercel.kernels.vector;

import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.Linear;
import org.jspecify.annotations.Nullable;

/** Where the lanes of a tile of 16 output rows go. */
final class TileOutput {
  private TileOutput() {}

  /**
   * Adds the bias, if there is one, and stores the rows that there are.
   *
   * @param lanes a tile's 16 results from {@code at} on
   * @param out [tokens][rows]
   */
  static void store(float[] lanes, int at, int tile, Linear layer, float[] out, int token) {
    int rows = layer.weight().rows();
    float @Nullable [] bias = layer.bias();
    int from = tile * W3Block.ROWS;
    int to = Math.min(from + W3Block.ROWS, rows);
    for (int r = from; r < to; r++) {
      float y = lanes[at + r - from];
      out[token * rows + r] = bias == null ? y : y + bias[r];
    }
  }
}

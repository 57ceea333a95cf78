package io.tercel.kernels.scalar;

import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;

/** One output of a linear layer, as {@link Ops#linear} defines it. */
final class ScalarLinear {
  private ScalarLinear() {}

  /** Row r of W times a token's prepared input. */
  static float dot(PackedMatrix w, int r, PreparedInput x, int token) {
    return switch (w.format()) {
      case Dense dense -> dense(w, dense, r, x.values(), token * w.cols());
      case Grouped.W3G128 -> w3(w, r, x, token);
      case Grouped.INT8G128 -> int8(w, r, x, token);
      case PerRow.W4A4 -> w4(w, r, x, token);
    };
  }

  private static float dense(PackedMatrix w, Dense format, int r, float[] x, int at) {
    boolean fp32 = format == Dense.FP32;
    int block = fp32 ? LaneSum.LANES : 2 * LaneSum.LANES;
    int whole = w.cols() - w.cols() % block;
    float[] lanes = new float[LaneSum.LANES];
    for (int c = 0; c < w.cols(); c++) {
      int inBlock = c < whole ? c % block : c - whole;
      int lane = c < whole && !fp32 ? inBlock / 2 : inBlock % LaneSum.LANES;
      float weight = format.element(w.segment(), (long) r * w.cols() + c);
      lanes[lane] = Math.fma(weight, x[at + c], lanes[lane]);
    }
    return LaneSum.tree(lanes, 0);
  }

  private static float w3(PackedMatrix w, int r, PreparedInput x, int token) {
    int groups = W3Block.groups(w.cols());
    int row = r % W3Block.ROWS;
    int[] words = new int[W3Block.WORDS];
    float y = 0;
    for (int g = 0; g < groups; g++) {
      long block = W3Block.blockOffset(r / W3Block.ROWS, g, groups);
      W3Block.readRow(w.segment(), block, row, words);
      int zero = W3Block.zero(w.segment(), block, row);
      int sum = 0;
      for (int k = 0; k < W3Block.GROUP; k++) {
        sum += (W3Block.code(words, k) - zero) * x.code(token, g * W3Block.GROUP + k);
      }
      float scale = Float.float16ToFloat(W3Block.scale(w.segment(), block, row));
      y = Math.fma(scale * x.scale(token, g), (float) sum, y);
    }
    return y;
  }

  private static float int8(PackedMatrix w, int r, PreparedInput x, int token) {
    int groups = W3Block.groups(w.cols());
    int row = r % Int8Block.ROWS;
    float y = 0;
    for (int g = 0; g < groups; g++) {
      long block = Int8Block.blockOffset(r / Int8Block.ROWS, g, groups);
      int sum = 0;
      for (int k = 0; k < Int8Block.GROUP; k++) {
        int code = Int8Block.code(w.segment(), block, row, k);
        sum += code * x.code(token, g * Int8Block.GROUP + k);
      }
      float scale = Float.float16ToFloat(Int8Block.scale(w.segment(), block, row));
      y = Math.fma(scale * x.scale(token, g), (float) sum, y);
    }
    return y;
  }

  private static float w4(PackedMatrix w, int r, PreparedInput x, int token) {
    int row = r % W4Tile.ROWS;
    long tile = r / W4Tile.ROWS * W4Tile.tileBytes(w.cols());
    int zero = x.rowZero(token);
    int sum = 0;
    for (int k = 0; k < w.cols(); k++) {
      sum += W4Tile.code(w.segment(), tile, row, k) * (x.rowCode(token, k) - zero);
    }
    float scale = Float.float16ToFloat(W4Tile.scale(w.segment(), tile, w.cols(), row));
    return scale * x.rowScale(token) * (float) sum;
  }
}

package io.tercel.kernels.vector;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.PreparedInput;

/** How layers of one weight format are computed: the one place where this backend asks for it. */
@FunctionalInterface
interface LinearKernel {
  /**
   * Rows of tiles [from, to), 16 a tile, for all prepared tokens.
   *
   * @param out [tokens][rows]
   */
  void multiply(
      Linear layer, PreparedInput x, float[] out, int from, int to, KernelScratch scratch);

  /** That of a format. */
  static LinearKernel of(QuantFormat format) {
    return switch (format) {
      case Dense dense -> (layer, x, out, from, to, s) -> dense(dense, layer, x, out, from, to, s);
      case Grouped.W3G128 -> LinearKernel::w3;
      case Grouped.INT8G128 -> Int8Kernel::multiply;
      case PerRow.W4A4 -> W4Kernel::multiply;
    };
  }

  private static void w3(
      Linear layer, PreparedInput x, float[] out, int from, int to, KernelScratch s) {
    PackedMatrix w = layer.weight();
    if (x.tokens() == 1) {
      W3Gemv.multiply(w.segment(), 0, w.rows(), from, to, x, layer.bias(), out, s);
    } else {
      W3Gemm.multiply(w.segment(), 0, w.rows(), from, to, x, layer.bias(), out, s);
    }
  }

  private static void dense(
      Dense format, Linear layer, PreparedInput x, float[] out, int from, int to, KernelScratch s) {
    PackedMatrix w = layer.weight();
    int first = from * W3Block.ROWS;
    int last = Math.min(w.rows(), to * W3Block.ROWS);
    if (x.tokens() == 1) {
      DenseGemv.multiply(format, w.segment(), 0, first, last, x, layer.bias(), out, 0, s);
    } else {
      DenseGemm.multiply(format, w.segment(), 0, first, last, x, layer.bias(), out, 0, w.rows(), s);
    }
  }
}

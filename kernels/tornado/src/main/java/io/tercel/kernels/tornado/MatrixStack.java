package io.tercel.kernels.tornado;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.Linear;
import java.util.ArrayList;
import java.util.List;

/**
 * Linear layers that read the same input and lie one below the other on the device, so that one
 * kernel computes them all: same format, same columns, same input order, all with biases or none.
 * Each one's rows are padded up to whole tiles of {@value #TILE}.
 *
 * @param layers top to bottom
 * @param at where the matrix begins: in ints, of which two are a long of its {@link WeightImage},
 *     or in its floats if it is fp32
 * @param biasAt where its padded biases begin in the floats, or -1
 * @param orderAt where its input order begins in the ints, or -1
 * @param transform of its input
 */
record MatrixStack(List<Linear> layers, int at, int biasAt, int orderAt, TransformPlace transform) {
  /** Rows that a work group computes. */
  static final int TILE = 16;

  static int padded(int rows) {
    return Math.ceilDiv(rows, TILE) * TILE;
  }

  QuantFormat format() {
    return layers.getFirst().weight().format();
  }

  /** How all of them want their input prepared. */
  InputSpec input() {
    return layers.getFirst().input();
  }

  int cols() {
    return layers.getFirst().weight().cols();
  }

  /** Rows in all, padding included. */
  int rows() {
    return layers.stream().mapToInt(l -> padded(l.weight().rows())).sum();
  }

  /** Cuts layers of one input into runs that can be stacked. */
  static List<List<Linear>> runs(List<Linear> group) {
    List<List<Linear>> runs = new ArrayList<>();
    for (Linear layer : group) {
      if (runs.isEmpty() || !together(runs.getLast().getFirst(), layer)) {
        runs.add(new ArrayList<>());
      }
      runs.getLast().add(layer);
    }
    return runs;
  }

  private static boolean together(Linear a, Linear b) {
    PackedMatrix m = a.weight();
    PackedMatrix n = b.weight();
    return m.format() == n.format()
        && m.cols() == n.cols()
        && a.input().equals(b.input())
        && (a.bias() == null) == (b.bias() == null);
  }

  /** There is none for 8-bit heads; {@code TornadoBackends} refuses them before. */
  static IllegalArgumentException noKernel(QuantFormat format) {
    return new IllegalArgumentException("no kernel for " + format.label());
  }

  /** Elements of one matrix on the device: ints, or floats of an fp32 one. */
  static long elements(PackedMatrix m) {
    return switch (m.format()) {
      case Dense.FP32 -> (long) padded(m.rows()) * m.cols();
      case Dense.FP16, Dense.BF16 -> 2L * padded(m.rows()) * DenseKernels.rowLongs(m.cols());
      case Grouped.W3G128, PerRow.W4A4 -> m.segment().byteSize() / Integer.BYTES;
      case Grouped.INT8G128 -> throw noKernel(m.format());
    };
  }
}

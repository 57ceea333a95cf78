package io.tercel.kernels.memory;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * Looks for NaN and infinities among weights: a model that has one serves nothing but noise, or NaN
 * to whoever uses the token that it belongs to.
 */
final class FiniteWeights {
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private FiniteWeights() {}

  /**
   * A vector, widened.
   *
   * @throws CheckpointException that names the first value that is not finite
   */
  static float[] floats(Tensor tensor) {
    float[] values = tensor.toFloats();
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw refusal(tensor, i);
      }
    }
    return values;
  }

  /**
   * Looks at some bytes of a checkpoint's matrix.
   *
   * @param at first byte, a multiple of 8
   * @throws CheckpointException that names the first value that is not finite
   */
  static void check(Tensor tensor, long at, long bytes) {
    QuantFormat.Dense format =
        switch (tensor.dtype()) {
          case F32 -> QuantFormat.Dense.FP32;
          case BF16 -> QuantFormat.Dense.BF16;
          case F16 -> QuantFormat.Dense.FP16;
          default -> throw new IllegalArgumentException(tensor.where() + " holds no floats");
        };
    long found = first(tensor.data(), format, at, bytes);
    if (found >= 0) {
      throw refusal(tensor, found);
    }
  }

  /** What is not finite in a packed matrix, of dense values or of scales; null if all is. */
  static @Nullable String fault(PackedMatrix matrix) {
    return switch (matrix.format()) {
      case QuantFormat.Dense dense -> {
        long found = first(matrix.segment(), dense, 0, matrix.segment().byteSize());
        yield found < 0
            ? null
            : "%s has %s in row %d, column %d"
                .formatted(
                    matrix.name(),
                    dense.element(matrix.segment(), found),
                    found / matrix.cols(),
                    found % matrix.cols());
      }
      case QuantFormat.Grouped grouped -> scaleFault(matrix, grouped);
      case QuantFormat.PerRow.W4A4 -> rowScaleFault(matrix);
    };
  }

  private static @Nullable String rowScaleFault(PackedMatrix matrix) {
    int cols = matrix.cols();
    for (int row = 0; row < matrix.rows(); row++) {
      long tile = row / W4Tile.ROWS * W4Tile.tileBytes(cols);
      float scale =
          Float.float16ToFloat(W4Tile.scale(matrix.segment(), tile, cols, row % W4Tile.ROWS));
      if (!Float.isFinite(scale)) {
        return "%s has a scale of %s in row %d".formatted(matrix.name(), scale, row);
      }
    }
    return null;
  }

  private static @Nullable String scaleFault(PackedMatrix matrix, QuantFormat.Grouped format) {
    int groups = W3Block.groups(matrix.cols());
    MemorySegment data = matrix.segment();
    for (int tile = 0; tile < W3Block.tiles(matrix.rows()); tile++) {
      for (int group = 0; group < groups; group++) {
        long block = ((long) tile * groups + group) * format.blockBytes();
        long scales = block + format.scalesOffset();
        long found = first(data, QuantFormat.Dense.FP16, scales, (long) W3Block.ROWS * Short.BYTES);
        if (found >= 0) {
          int row = (int) (found - scales / Short.BYTES);
          return "%s has a scale of %s in row %d, group %d"
              .formatted(
                  matrix.name(),
                  QuantFormat.Dense.FP16.element(data, found),
                  tile * W3Block.ROWS + row,
                  group);
        }
      }
    }
    return null;
  }

  /** What is not finite in a norm or a bias; null if all is. */
  static @Nullable String fault(String name, float[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        return "%s has %s in element %d".formatted(name, values[i], i);
      }
    }
    return null;
  }

  /**
   * Index of the first element that is not finite, from the segment's start on; -1 if there is none
   * among these bytes. Eight bytes are looked at at a time: an element is not finite where all bits
   * of its exponent are set, so none of them is left in the complement.
   *
   * @param at first byte, a multiple of the element's size
   */
  private static long first(MemorySegment data, QuantFormat.Dense format, long at, long bytes) {
    long exponent =
        switch (format) {
          case FP32 -> 0x7f80_0000_7f80_0000L;
          case BF16 -> 0x7f80_7f80_7f80_7f80L;
          case FP16 -> 0x7c00_7c00_7c00_7c00L;
        };
    long below = format == QuantFormat.Dense.FP32 ? 0x7fff_ffff_7fff_ffffL : 0x7fff_7fff_7fff_7fffL;
    int words = Math.toIntExact(bytes / Long.BYTES);
    long finite = ~0L;
    for (int i = 0; i < words; i++) {
      // a sum reaches the top bit unless the field is 0, and never goes beyond
      finite &= (~data.get(LONG, at + 8L * i) & exponent) + below;
    }
    int size = format.elementBytes();
    boolean all = (finite & ~below) == ~below;
    for (long i = (all ? at + 8L * words : at) / size; i < (at + bytes) / size; i++) {
      if (!Float.isFinite(format.element(data, i))) {
        return i;
      }
    }
    return -1;
  }

  private static CheckpointException refusal(Tensor tensor, long i) {
    long width = tensor.shape().getLast();
    return new CheckpointException(
        "%s has %s in row %d, column %d; expected finite numbers"
            .formatted(tensor.where(), tensor.floatAt(i), i / width, i % width));
  }
}

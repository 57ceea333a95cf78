package io.tercel.kernels.memory;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Looks for NaN and infinities among plain weights: a model that has one serves nothing but noise,
 * or NaN to whoever uses the token that it belongs to.
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
   * Looks at some bytes of a matrix, eight at a time: an element is not finite where all bits of
   * its exponent are set, so none of them is left in the complement.
   *
   * @param at first byte, a multiple of 8
   * @throws CheckpointException that names the first value that is not finite
   */
  static void check(Tensor tensor, long at, long bytes) {
    boolean wide = tensor.dtype() == DType.F32;
    long exponent =
        switch (tensor.dtype()) {
          case F32 -> 0x7f80_0000_7f80_0000L;
          case BF16 -> 0x7f80_7f80_7f80_7f80L;
          case F16 -> 0x7c00_7c00_7c00_7c00L;
          default -> throw new IllegalArgumentException(tensor.where() + " holds no floats");
        };
    long below = wide ? 0x7fff_ffff_7fff_ffffL : 0x7fff_7fff_7fff_7fffL;
    MemorySegment data = tensor.data();
    int words = Math.toIntExact(bytes / Long.BYTES);
    long finite = ~0L;
    for (int i = 0; i < words; i++) {
      // a sum reaches the top bit unless the field is 0, and never goes beyond
      finite &= (~data.get(LONG, at + 8L * i) & exponent) + below;
    }
    int size = tensor.dtype().bytes();
    long tail = at + 8L * words;
    if ((finite & ~below) != ~below) {
      tail = at;
    }
    for (long i = tail / size; i < (at + bytes) / size; i++) {
      if (!Float.isFinite(tensor.floatAt(i))) {
        throw refusal(tensor, i);
      }
    }
  }

  private static CheckpointException refusal(Tensor tensor, long i) {
    long width = tensor.shape().getLast();
    return new CheckpointException(
        "%s has %s in row %d, column %d; expected finite numbers"
            .formatted(tensor.where(), tensor.floatAt(i), i / width, i % width));
  }
}

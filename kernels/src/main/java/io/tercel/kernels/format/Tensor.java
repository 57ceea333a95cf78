package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;

/**
 * One tensor of a checkpoint: a name, a shape and little-endian row-major bytes mapped from a file.
 * Nothing says that the bytes are aligned to their element.
 *
 * @param file where it lies, for errors
 * @param shape outermost dimension first; empty for a scalar
 * @param data exactly the product of the shape times the element's size; valid until the file is
 *     closed
 */
public record Tensor(Path file, String name, DType dtype, List<Long> shape, MemorySegment data) {
  private static final ValueLayout.OfShort LE_SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt LE_INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  public Tensor {
    shape = List.copyOf(shape);
  }

  /** Number of elements. */
  public long elements() {
    return data.byteSize() / dtype.bytes();
  }

  /**
   * Element i of an F32, F16 or BF16 tensor, widened.
   *
   * @throws IllegalStateException for any other type
   */
  public float floatAt(long i) {
    return switch (dtype) {
      case F32 -> Float.intBitsToFloat(data.get(LE_INT, 4 * i));
      case F16 -> Float.float16ToFloat(data.get(LE_SHORT, 2 * i));
      case BF16 -> Float.intBitsToFloat(data.get(LE_SHORT, 2 * i) << 16);
      default -> throw new IllegalStateException(name + " holds " + dtype + ", not floats");
    };
  }

  /** Element i of an I32 tensor, or the i-th 32-bit word of any other. */
  public int intAt(long i) {
    return data.get(LE_INT, 4 * i);
  }

  /** All elements of an F32, F16 or BF16 tensor, widened onto the heap. */
  public float[] toFloats() {
    float[] values = new float[Math.toIntExact(elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = floatAt(i);
    }
    return values;
  }

  /** {@code file: tensor name}, how every error about it begins. */
  public String where() {
    return file + ": tensor " + name;
  }
}

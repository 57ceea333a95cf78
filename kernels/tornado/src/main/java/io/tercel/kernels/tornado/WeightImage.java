package io.tercel.kernels.tornado;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.Linear;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * What the device holds of some weights, in two arrays: longs (packed blocks, 16-bit weights, input
 * orders) and floats (norms, biases, transforms, fp32 matrices). Two arrays, since every argument
 * of every kernel costs the host time. This is the host's copy, from which the device's is made.
 *
 * <p>Used in two phases: everything is {@link #stack}ed and {@link #vector}ed, then {@link
 * #allocate} makes the arrays.
 */
final class WeightImage {
  /** Something that lies in one of the arrays. */
  private sealed interface Part {}

  private record Matrix(PackedMatrix source, int at) implements Part {}

  @SuppressWarnings("ArrayRecordComponent") // identity is all that is ever asked of one
  private record Vector(float[] source, int at) implements Part {}

  @SuppressWarnings("ArrayRecordComponent")
  private record Order(int[] source, int at) implements Part {}

  private final String name;
  private final List<Part> parts = new ArrayList<>();
  private long intCount;
  private long floatCount;
  private @Nullable LongArray longs;
  private @Nullable FloatArray floats;

  WeightImage(String name) {
    this.name = name;
  }

  /**
   * The next place, in ints or floats, that begins 128 bytes of the device's memory, which are read
   * together: arrays begin there 16 bytes behind such a place.
   */
  private static long aligned(long count) {
    int line = 128 / Integer.BYTES;
    int header = 16 / Integer.BYTES;
    return Math.ceilDiv(count + header, line) * line - header;
  }

  /** Places the layers of a run one below the other. */
  MatrixStack stack(List<Linear> run) {
    PackedMatrix first = run.getFirst().weight();
    boolean inFloats = first.format() == Dense.FP32;
    if (inFloats) {
      floatCount = aligned(floatCount);
    } else {
      intCount = aligned(intCount);
    }
    int at = Math.toIntExact(inFloats ? floatCount : intCount);
    for (Linear layer : run) {
      PackedMatrix m = layer.weight();
      if (inFloats) {
        parts.add(new Matrix(m, Math.toIntExact(floatCount)));
        floatCount += MatrixStack.elements(m);
      } else {
        parts.add(new Matrix(m, Math.toIntExact(intCount)));
        intCount += MatrixStack.elements(m);
      }
    }
    int biasAt = -1;
    if (run.getFirst().bias() != null) {
      biasAt = Math.toIntExact(floatCount);
      for (Linear layer : run) {
        float[] bias = layer.bias();
        if (bias != null) {
          parts.add(new Vector(bias, Math.toIntExact(floatCount)));
          floatCount += MatrixStack.padded(bias.length);
        }
      }
    }
    int orderAt = -1;
    int[] order = first.inputOrder();
    if (order != null) {
      orderAt = Math.toIntExact(intCount);
      parts.add(new Order(order, orderAt));
      intCount += Math.ceilDiv(order.length, 2) * 2; // all parts begin with a long
    }
    TransformPlace transform =
        run.getFirst().input() instanceof InputSpec.Int4PerToken spec
            ? TransformPlace.of(spec.transform(), first.cols(), this)
            : TransformPlace.NONE;
    return new MatrixStack(List.copyOf(run), at, biasAt, orderAt, transform);
  }

  /** Places a vector in the floats; -1 for none. */
  int vector(float @Nullable [] vector) {
    if (vector == null) {
      return -1;
    }
    int at = Math.toIntExact(floatCount);
    parts.add(new Vector(vector, at));
    floatCount += vector.length;
    return at;
  }

  /** Bytes that this takes on the device. */
  long bytes() {
    return (size(intCount) + size(floatCount)) * (long) Integer.BYTES;
  }

  private int size(long count) {
    if (count > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          name + ": " + count + " words are more than one device array can hold");
    }
    return Math.max(1, (int) count);
  }

  /** Makes the arrays and fills them. */
  void allocate() {
    longs = new LongArray(size(Math.ceilDiv(intCount, 2)));
    floats = new FloatArray(size(floatCount));
    for (Part part : parts) {
      refresh(part);
    }
  }

  /** Takes over what has changed in the sources; says whether anything has. */
  boolean refresh() {
    boolean changed = false;
    for (Part part : parts) {
      changed |= refresh(part);
    }
    return changed;
  }

  private boolean refresh(Part part) {
    return switch (part) {
      case Matrix m when m.source.format() == Dense.FP32 ->
          rows(m.source, floats().getSegment(), m.at, m.source.cols());
      case Matrix m when m.source.format() instanceof Dense ->
          rows(m.source, longs().getSegment(), m.at, 2 * DenseKernels.rowLongs(m.source.cols()));
      case Matrix m ->
          copy(m.source.segment(), 0, longs().getSegment(), m.at, m.source.segment().byteSize());
      case Vector v -> copyHeap(MemorySegment.ofArray(v.source), floats().getSegment(), v.at);
      case Order o -> copyHeap(MemorySegment.ofArray(o.source), longs().getSegment(), o.at);
    };
  }

  /** Row by row where rows are padded on the device, else at once. */
  private static boolean rows(PackedMatrix m, MemorySegment to, int at, int words) {
    long rowBytes = m.segment().byteSize() / m.rows();
    if (rowBytes == 4L * words) {
      return copy(m.segment(), 0, to, at, m.segment().byteSize());
    }
    boolean changed = false;
    for (int row = 0; row < m.rows(); row++) {
      changed |= copy(m.segment(), row * rowBytes, to, at + (long) row * words, rowBytes);
    }
    return changed;
  }

  private static boolean copyHeap(MemorySegment from, MemorySegment to, int at) {
    return copy(from, 0, to, at, from.byteSize());
  }

  private static boolean copy(
      MemorySegment from, long fromByte, MemorySegment to, long word, long bytes) {
    MemorySegment source = from.asSlice(fromByte, bytes);
    MemorySegment target = to.asSlice(4 * word, bytes);
    if (source.mismatch(target) < 0) {
      return false;
    }
    target.copyFrom(source);
    return true;
  }

  LongArray longs() {
    if (longs == null) {
      throw new IllegalStateException(name + " is not allocated");
    }
    return longs;
  }

  FloatArray floats() {
    if (floats == null) {
      throw new IllegalStateException(name + " is not allocated");
    }
    return floats;
  }
}

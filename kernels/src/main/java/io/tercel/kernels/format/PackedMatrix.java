package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A weight matrix [rows = outputs, cols = inputs] in its format's one in-memory layout. The segment
 * belongs to whoever opened its arena; this is a view with a shape.
 */
public final class PackedMatrix {
  private final String name;
  private final MemorySegment segment;
  private final int rows;
  private final int cols;
  private final QuantFormat format;
  private final int @Nullable [] inputOrder;

  /**
   * @param name the tensor's name, for errors and tables
   * @param inputOrder packed column j reads input {@code inputOrder[j]} (GPTQ act-order); null when
   *     it reads input j
   */
  public PackedMatrix(
      String name,
      MemorySegment segment,
      int rows,
      int cols,
      QuantFormat format,
      int @Nullable [] inputOrder) {
    long bytes = format.bytes(rows, cols);
    if (segment.byteSize() != bytes) {
      throw new IllegalArgumentException(
          "%s: %d bytes for a %s matrix of %d x %d, which takes %d"
              .formatted(name, segment.byteSize(), format.label(), rows, cols, bytes));
    }
    if (inputOrder != null && inputOrder.length != cols) {
      throw new IllegalArgumentException(
          "%s: an input order of %d for %d columns".formatted(name, inputOrder.length, cols));
    }
    this.name = name;
    this.segment = segment;
    this.rows = rows;
    this.cols = cols;
    this.format = format;
    this.inputOrder = inputOrder;
  }

  public String name() {
    return name;
  }

  /** The packed bytes, exactly {@link QuantFormat#bytes} of them. */
  public MemorySegment segment() {
    return segment;
  }

  public int rows() {
    return rows;
  }

  public int cols() {
    return cols;
  }

  public QuantFormat format() {
    return format;
  }

  /**
   * The format of a matrix that must not be quantized.
   *
   * @throws IllegalArgumentException if it is
   */
  public QuantFormat.Dense dense() {
    if (format instanceof QuantFormat.Dense dense) {
      return dense;
    }
    throw new IllegalArgumentException(
        "%s is %s where 16- or 32-bit floats are needed".formatted(name, format.label()));
  }

  /** The gather that act-order needs, or null for the natural order; not to be changed. */
  public int @Nullable [] inputOrder() {
    return inputOrder;
  }
}

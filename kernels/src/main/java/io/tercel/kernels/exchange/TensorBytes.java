package io.tercel.kernels.exchange;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.memory.PatchWriter;
import io.tercel.kernels.memory.StoredTensors;
import io.tercel.kernels.memory.WeightStore;
import java.util.ArrayList;
import java.util.List;

/**
 * A tensor of a store as bytes, little-endian and row by row, whatever its layout in memory. It has
 * parts, and a part has units, which are sent and taken whole.
 *
 * <pre>
 * format   part     bytes                                                      unit
 * w3g128   CODES    [rows][groups of 128]: code k of a group at bits [3k, 3k+3)  48: a group of a row
 *                   of its 48 bytes; columns beyond the last are 0
 *          SCALES   [rows][groups] fp16                                        2: a group of a row
 *          ZEROS    [rows][groups] bytes 0..7                                  1: a group of a row
 * w4a4     CODES    [rows][half the columns, rounded up]: code + 8, the even    a row
 *                   column's in the low half of a byte; beyond the last is 0
 *          SCALES   [rows] fp16                                                2: a row
 * dense    VALUES   [rows][cols] in the matrix's own type                      1,024, or the rest
 * vector   VALUES   fp32                                                       all
 * </pre>
 */
public abstract sealed class TensorBytes permits W3Bytes, W4Bytes, DenseBytes, VectorBytes {
  private final String name;
  private final List<TensorPart> parts;

  TensorBytes(String name, List<TensorPart> parts) {
    this.name = name;
    this.parts = parts;
  }

  /**
   * All tensors of a store: matrices in the order of the forward pass, then vectors.
   *
   * @throws IllegalArgumentException that names the first which has no such form
   */
  public static List<TensorBytes> of(WeightStore store) {
    StoredTensors stored = store.tensors();
    List<TensorBytes> all = new ArrayList<>();
    for (String name : stored.matrices()) {
      PackedMatrix matrix = stored.matrix(name);
      if (matrix != null) {
        all.add(of(name, matrix));
      }
    }
    for (String name : stored.vectors()) {
      float[] vector = stored.vector(name);
      if (vector != null) {
        all.add(new VectorBytes(name, vector));
      }
    }
    return List.copyOf(all);
  }

  private static TensorBytes of(String name, PackedMatrix matrix) {
    if (matrix.inputOrder() != null) {
      throw new IllegalArgumentException(
          name
              + " is served with its columns reordered (act-order), and no new weights can be sent to it; quantize without it");
    }
    return switch (matrix.format()) {
      case QuantFormat.Grouped.W3G128 -> new W3Bytes(name, matrix);
      case QuantFormat.PerRow.W4A4 -> new W4Bytes(name, matrix);
      case QuantFormat.Dense _ -> new DenseBytes(name, matrix);
      case QuantFormat.Grouped.INT8G128 ->
          throw new IllegalArgumentException(
              name
                  + " is served in 8 bits, and no new weights can be sent to it; serve it as it is stored");
    };
  }

  /** As in a Hugging Face checkpoint; a linear's is its weight's whatever the format. */
  public String name() {
    return name;
  }

  /** What it consists of. */
  public List<TensorPart> parts() {
    return parts;
  }

  /** Of a part that it has. */
  public abstract long bytes(TensorPart part);

  /** Of each unit of a part but the last, which may be shorter. */
  public abstract int unitBytes(TensorPart part);

  /** Units of a part. */
  int units(TensorPart part) {
    return Math.toIntExact(Math.ceilDiv(bytes(part), (long) unitBytes(part)));
  }

  /** Bytes of one unit. */
  int unitBytes(TensorPart part, int unit) {
    long first = (long) unit * unitBytes(part);
    return (int) Math.min(unitBytes(part), bytes(part) - first);
  }

  /** Copies a unit from the store. */
  abstract void read(TensorPart part, int unit, byte[] to, int at);

  /** Takes new bytes for some of its units. */
  abstract Overlay overlay(PatchWriter writer);

  /** Whose matrix or vector it is, by identity. */
  abstract Object target();

  /** New bytes laid over those that a store holds. */
  interface Overlay {
    /**
     * Whole units, each once.
     *
     * @throws IllegalArgumentException if the bytes can't be of this tensor
     */
    void put(TensorPart part, long offset, byte[] data, int from, int length);

    /** All have come. */
    void finish();
  }
}

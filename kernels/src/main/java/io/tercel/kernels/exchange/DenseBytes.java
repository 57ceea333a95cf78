package io.tercel.kernels.exchange;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.memory.PatchWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** A matrix of floats. */
final class DenseBytes extends TensorBytes {
  /** Bytes of a unit. */
  static final int UNIT = 1024;

  private final PackedMatrix matrix;

  DenseBytes(String name, PackedMatrix matrix) {
    super(name, List.of(TensorPart.VALUES));
    this.matrix = matrix;
  }

  @Override
  public long bytes(TensorPart part) {
    return matrix.segment().byteSize();
  }

  @Override
  public int unitBytes(TensorPart part) {
    return UNIT;
  }

  @Override
  void read(TensorPart part, int unit, byte[] to, int at) {
    int length = unitBytes(part, unit);
    MemorySegment.copy(matrix.segment(), ValueLayout.JAVA_BYTE, (long) unit * UNIT, to, at, length);
  }

  @Override
  Overlay overlay(PatchWriter writer) {
    QuantFormat.Dense format = matrix.dense();
    int size = format.elementBytes();
    return new Overlay() {
      private final float[] values = new float[UNIT / size];
      private final byte[] unit = new byte[UNIT];

      @Override
      public void put(TensorPart part, long offset, byte[] data, int from, int length) {
        for (int done = 0; done < length; done += UNIT) {
          int count = Math.min(UNIT, length - done) / size;
          System.arraycopy(data, from + done, unit, 0, count * size);
          MemorySegment segment = MemorySegment.ofArray(unit);
          for (int i = 0; i < count; i++) {
            values[i] = format.element(segment, i);
          }
          writer.dense(matrix, (offset + done) / size, values, count);
        }
      }

      @Override
      public void finish() {}
    };
  }

  @Override
  Object target() {
    return matrix;
  }
}

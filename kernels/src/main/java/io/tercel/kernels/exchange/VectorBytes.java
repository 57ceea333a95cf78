package io.tercel.kernels.exchange;

import io.tercel.kernels.memory.PatchWriter;
import java.util.List;

/** A norm, a bias or a part of a transform. */
final class VectorBytes extends TensorBytes {
  private final float[] vector;

  VectorBytes(String name, float[] vector) {
    super(name, List.of(TensorPart.VALUES));
    this.vector = vector;
  }

  @Override
  public long bytes(TensorPart part) {
    return unitBytes(part);
  }

  @Override
  public int unitBytes(TensorPart part) {
    return Math.multiplyExact(Float.BYTES, vector.length);
  }

  @Override
  void read(TensorPart part, int unit, byte[] to, int at) {
    for (int i = 0; i < vector.length; i++) {
      LittleEndian.put(to, at + Float.BYTES * i, Float.floatToRawIntBits(vector[i]));
    }
  }

  @Override
  Overlay overlay(PatchWriter writer) {
    return new Overlay() {
      @Override
      public void put(TensorPart part, long offset, byte[] data, int from, int length) {
        float[] values = new float[vector.length];
        for (int i = 0; i < values.length; i++) {
          values[i] = Float.intBitsToFloat(LittleEndian.getInt(data, from + Float.BYTES * i));
          if (name().endsWith("clip") && !(values[i] > 0 && values[i] <= 1)) {
            throw new IllegalArgumentException(
                "%s is %s; clips are above 0 and at most 1".formatted(name(), values[i]));
          }
        }
        writer.vector(name(), vector, values);
      }

      @Override
      public void finish() {}
    };
  }

  @Override
  Object target() {
    return vector;
  }
}

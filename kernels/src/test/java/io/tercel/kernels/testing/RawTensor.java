package io.tercel.kernels.testing;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A tensor as safetensors has it: little-endian row-major bytes under a dtype's name. Test code's
 * own, written apart from the production reader.
 *
 * @param dtype F32, F16, BF16 or I32
 */
@SuppressWarnings("ArrayRecordComponent")
public record RawTensor(String dtype, long[] shape, byte[] data) {

  /** Rounds to nearest even into the dtype. */
  public static RawTensor floats(String dtype, float[] values, long... shape) {
    ByteBuffer data = ByteBuffer.allocate(values.length * (dtype.equals("F32") ? 4 : 2));
    data.order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      switch (dtype) {
        case "F32" -> data.putFloat(value);
        case "F16" -> data.putShort(Float.floatToFloat16(value));
        case "BF16" -> data.putShort(bf16(value));
        default -> throw new IllegalArgumentException(dtype);
      }
    }
    return new RawTensor(dtype, shape, data.array());
  }

  public static RawTensor ints(int[] values, long... shape) {
    ByteBuffer data = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    for (int value : values) {
      data.putInt(value);
    }
    return new RawTensor("I32", shape, data.array());
  }

  private static short bf16(float value) {
    int bits = Float.floatToIntBits(value);
    return (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
  }

  public float[] toFloats() {
    ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[data.length / (dtype.equals("F32") ? 4 : 2)];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (dtype) {
            case "F32" -> in.getFloat();
            case "F16" -> Float.float16ToFloat(in.getShort());
            case "BF16" -> Float.intBitsToFloat(in.getShort() << 16);
            default -> throw new IllegalArgumentException(dtype);
          };
    }
    return values;
  }

  public int[] toInts() {
    int[] values = new int[data.length / 4];
    ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(values);
    return values;
  }
}

package io.tercel.kernels.exchange;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Numbers in arrays of bytes. */
final class LittleEndian {
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private LittleEndian() {}

  static void put(byte[] to, int at, short value) {
    SHORT.set(to, at, value);
  }

  static void put(byte[] to, int at, int value) {
    INT.set(to, at, value);
  }

  static short getShort(byte[] from, int at) {
    return (short) SHORT.get(from, at);
  }

  static int getInt(byte[] from, int at) {
    return (int) INT.get(from, at);
  }
}

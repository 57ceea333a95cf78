package io.tercel.kernels.vector;

import io.tercel.kernels.memory.KvType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Widens stored keys or values to floats, exactly. */
final class KvUnpack {
  private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;

  /** As many shorts as a vector of floats has lanes. */
  private static final VectorSpecies<Short> S =
      VectorSpecies.of(short.class, VectorShape.forBitSize(Math.max(64, Lanes.COUNT * Short.SIZE)));

  private static final float TWO_TO_112 = 0x1p112f;

  /** The least half, sign aside, that is no finite number. */
  private static final int INFINITE_HALF = 0x7C00;

  private static final int NAN = 0x7fc0_0000;

  private KvUnpack() {}

  /** Widens count elements from an address on, a multiple of the hardware's lanes or not. */
  static void unpack(KvType type, long from, int count, long to) {
    switch (type) {
      case FP32 ->
          MemorySegment.copy(OffHeap.ALL, from, OffHeap.ALL, to, (long) count * Float.BYTES);
      case FP16 -> halves(from, count, to);
      case INT4 -> throw new IllegalArgumentException("codes have kernels of their own");
    }
  }

  /**
   * A half's exponent and mantissa, moved to a float's place, mean the number times 2^-112,
   * subnormals included. Stored halves are finite or NaN.
   */
  private static void halves(long from, int count, long to) {
    int i = 0;
    for (; i + Lanes.COUNT <= count; i += Lanes.COUNT) {
      ShortVector h = ShortVector.fromMemorySegment(S, OffHeap.ALL, from + 2L * i, LITTLE);
      IntVector bits = (IntVector) h.convertShape(VectorOperators.S2I, Lanes.INT, 0);
      FloatVector magnitude =
          bits.and(0x7FFF).lanewise(VectorOperators.LSHL, 13).reinterpretAsFloats().mul(TWO_TO_112);
      Lanes.bits(magnitude)
          .or(bits.and(0x80000000))
          .blend(NAN, bits.and(0x7FFF).compare(VectorOperators.GE, INFINITE_HALF))
          .reinterpretAsFloats()
          .intoMemorySegment(OffHeap.ALL, to + 4L * i, LITTLE);
    }
    for (; i < count; i++) {
      short half = OffHeap.ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, from + 2L * i);
      OffHeap.ALL.set(ValueLayout.JAVA_FLOAT_UNALIGNED, to + 4L * i, Float.float16ToFloat(half));
    }
  }
}

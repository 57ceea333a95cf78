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

  private KvUnpack() {}

  /** Widens count elements, a multiple of the hardware's lanes or not, from a byte offset on. */
  static void unpack(
      KvType type, MemorySegment segment, long offset, int count, float[] out, int at) {
    switch (type) {
      case FP32 ->
          MemorySegment.copy(segment, ValueLayout.JAVA_FLOAT_UNALIGNED, offset, out, at, count);
      case FP16 -> halves(segment, offset, count, out, at);
    }
  }

  /**
   * A half's exponent and mantissa, moved to a float's place, mean the number times 2^-112,
   * subnormals included; stored halves are finite, so nothing else is needed.
   */
  private static void halves(MemorySegment segment, long offset, int count, float[] out, int at) {
    int i = 0;
    for (; i + Lanes.COUNT <= count; i += Lanes.COUNT) {
      ShortVector h = ShortVector.fromMemorySegment(S, segment, offset + 2L * i, LITTLE);
      IntVector bits = (IntVector) h.convertShape(VectorOperators.S2I, Lanes.INT, 0);
      FloatVector magnitude =
          bits.and(0x7FFF).lanewise(VectorOperators.LSHL, 13).reinterpretAsFloats().mul(TWO_TO_112);
      Lanes.bits(magnitude).or(bits.and(0x80000000)).reinterpretAsFloats().intoArray(out, at + i);
    }
    for (; i < count; i++) {
      short half = segment.get(ValueLayout.JAVA_SHORT_UNALIGNED, offset + 2L * i);
      out[at + i] = Float.float16ToFloat(half);
    }
  }
}

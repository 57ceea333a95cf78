package io.tercel.kernels.vector;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import io.tercel.kernels.format.W3Block;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;

/** Scales and zero points of a 3-bit block, a lane a row. */
final class W3Meta {
  /** fp16 bits moved up by 13 are a float that is too small by this. */
  private static final float SCALE = 0x1p112f;

  private static final VectorSpecies<Short> SHORTS =
      Lanes.COUNT == 16
          ? ShortVector.SPECIES_256
          : Lanes.COUNT == 8 ? ShortVector.SPECIES_128 : ShortVector.SPECIES_64;

  private static final VectorSpecies<Byte> BYTES =
      Lanes.COUNT == 16 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;

  /** For four lanes there is no vector of as many bytes: one int is shifted by these. */
  private static final int[] SHIFTS = {0, 8, 16, 24};

  private W3Meta() {}

  /** Scales of rows [part, part + COUNT), exactly; they are finite. */
  static FloatVector scales(long block, int part) {
    return halves(block + W3Block.SCALES_OFFSET + part * (long) Short.BYTES);
  }

  /** COUNT halves at an address, which are finite, exactly. */
  static FloatVector halves(long at) {
    IntVector bits =
        (IntVector)
            ShortVector.fromMemorySegment(SHORTS, OffHeap.ALL, at, ByteOrder.LITTLE_ENDIAN)
                .convertShape(ZERO_EXTEND_S2I, Lanes.INT, 0);
    return bits.lanewise(LSHL, 13)
        .and(0x0fff_e000)
        .or(bits.lanewise(LSHL, 16).and(0x8000_0000))
        .reinterpretAsFloats()
        .mul(SCALE);
  }

  /** Zero points of rows [part, part + COUNT). */
  static IntVector zeros(long block, int part) {
    long at = block + W3Block.ZEROS_OFFSET + part;
    if (Lanes.COUNT == 4) {
      return IntVector.broadcast(Lanes.INT, OffHeap.ALL.get(OffHeap.INT, at))
          .lanewise(LSHR, IntVector.fromArray(Lanes.INT, SHIFTS, 0))
          .and(0xff);
    }
    return (IntVector)
        ByteVector.fromMemorySegment(BYTES, OffHeap.ALL, at, ByteOrder.LITTLE_ENDIAN)
            .convertShape(ZERO_EXTEND_B2I, Lanes.INT, 0);
  }
}

package io.tercel.kernels.vector;

import io.tercel.kernels.ops.LaneSum;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector width of every kernel: what the hardware prefers, 512 bits at most. Arithmetic is
 * defined on 16 virtual lanes; narrower hardware takes them in two or four parts, lane by lane the
 * same operations, so the width never shows in a result.
 */
final class Lanes {
  /** Virtual lanes: rows of a W3 tile, partial sums of a dense dot product. */
  static final int VIRTUAL = LaneSum.LANES;

  static final VectorSpecies<Float> FLOAT =
      FloatVector.SPECIES_PREFERRED.length() > VIRTUAL
          ? FloatVector.SPECIES_512
          : FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> INT =
      FLOAT.length() == VIRTUAL
          ? IntVector.SPECIES_512
          : FLOAT.length() == 8 ? IntVector.SPECIES_256 : IntVector.SPECIES_128;

  /** As wide: two a lane. */
  static final VectorSpecies<Short> SHORT =
      FLOAT.length() == VIRTUAL
          ? ShortVector.SPECIES_512
          : FLOAT.length() == 8 ? ShortVector.SPECIES_256 : ShortVector.SPECIES_128;

  /** Hardware lanes: 16, 8 or 4. */
  static final int COUNT = FLOAT.length();

  private Lanes() {}

  /** The largest multiple of {@link #VIRTUAL} that is at most n. */
  static int floor(int n) {
    return n & -VIRTUAL;
  }

  static FloatVector load(float[] x, int at) {
    return FloatVector.fromArray(FLOAT, x, at);
  }

  static IntVector bits(FloatVector x) {
    return x.reinterpretAsInts();
  }
}

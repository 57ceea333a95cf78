package io.tercel.kernels.vector;

import io.tercel.kernels.ops.Exp;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** {@link Exp#exp} on lanes, operation for operation: the same bits. */
final class VectorExp {
  private static final int MAGIC_BITS = Float.floatToRawIntBits(Exp.MAGIC);

  private VectorExp() {}

  static FloatVector exp(FloatVector x) {
    FloatVector clamped = x.min(Exp.MAX);
    FloatVector magic = FloatVector.broadcast(Lanes.FLOAT, Exp.MAGIC);
    FloatVector shifted = clamped.fma(FloatVector.broadcast(Lanes.FLOAT, Exp.LOG2_E), magic);
    FloatVector n = shifted.sub(magic);
    FloatVector r = n.fma(FloatVector.broadcast(Lanes.FLOAT, -Exp.LN2_HI), clamped);
    r = n.fma(FloatVector.broadcast(Lanes.FLOAT, -Exp.LN2_LO), r);
    FloatVector p = FloatVector.broadcast(Lanes.FLOAT, Exp.C7);
    p = p.fma(r, FloatVector.broadcast(Lanes.FLOAT, Exp.C6));
    p = p.fma(r, FloatVector.broadcast(Lanes.FLOAT, Exp.C5));
    p = p.fma(r, FloatVector.broadcast(Lanes.FLOAT, Exp.C4));
    p = p.fma(r, FloatVector.broadcast(Lanes.FLOAT, Exp.C3));
    p = p.fma(r, FloatVector.broadcast(Lanes.FLOAT, Exp.C2));
    p = p.fma(r.mul(r), r).add(1f);
    var exponent = Lanes.bits(shifted).sub(MAGIC_BITS).lanewise(VectorOperators.LSHL, 23);
    FloatVector result = Lanes.bits(p).add(exponent).reinterpretAsFloats();
    return result.blend(0f, x.lt(Exp.MIN));
  }
}

package io.tercel.kernels.vector;

import io.tercel.kernels.ops.Exp;
import jdk.incubator.vector.FloatVector;

/** SwiGLU: gate = gate / (1 + e^-gate) * up, element by element. */
final class GateLoop {
  private GateLoop() {}

  static void swiglu(float[] gate, float[] up, int from, int to) {
    int i = from;
    for (; i + Lanes.COUNT <= to; i += Lanes.COUNT) {
      FloatVector g = Lanes.load(gate, i);
      FloatVector denominator = VectorExp.exp(g.neg()).add(1f);
      g.div(denominator).mul(Lanes.load(up, i)).intoArray(gate, i);
    }
    for (; i < to; i++) {
      gate[i] = gate[i] / (1f + Exp.exp(-gate[i])) * up[i];
    }
  }
}

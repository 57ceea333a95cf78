package io.tercel.kernels.vector;

import io.tercel.kernels.ops.Exp;
import jdk.incubator.vector.FloatVector;

/** SwiGLU: gate = gate / (1 + e^-gate) * up, element by element. */
final class GateLoop {
  private GateLoop() {}

  static void swiglu(float[] gate, float[] up, int from, int to) {
    swiglu(gate, up, from, to, gate, from);
  }

  /** Elements [from, to), which go to {@code out} from {@code at} on. */
  static void swiglu(float[] gate, float[] up, int from, int to, float[] out, int at) {
    int shift = at - from;
    int i = from;
    for (; i + Lanes.COUNT <= to; i += Lanes.COUNT) {
      FloatVector g = Lanes.load(gate, i);
      FloatVector denominator = VectorExp.exp(g.neg()).add(1f);
      g.div(denominator).mul(Lanes.load(up, i)).intoArray(out, shift + i);
    }
    for (; i < to; i++) {
      out[shift + i] = gate[i] / (1f + Exp.exp(-gate[i])) * up[i];
    }
  }
}

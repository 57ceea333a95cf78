package io.tercel.kernels.vector;

import io.tercel.kernels.ops.Exp;
import java.util.Random;
import org.junit.jupiter.api.Test;

class VectorExpTest {

  @Test
  void exp_equalsTheScalarOne_toTheBit() {
    Random random = new Random(1);
    float[] x = new float[1 << 20];
    for (int i = 0; i < x.length; i++) {
      // any bits but NaNs', and the range that matters
      float any = Float.intBitsToFloat(random.nextInt());
      x[i] = i % 2 == 0 && !Float.isNaN(any) ? any : random.nextFloat() * 180 - 90;
    }
    float[] edges = {0, -0f, Exp.MIN, Exp.MAX, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY};
    System.arraycopy(edges, 0, x, 0, edges.length);
    float[] y = new float[x.length];
    for (int i = 0; i < x.length; i += Lanes.COUNT) {
      VectorExp.exp(Lanes.load(x, i)).intoArray(y, i);
    }
    for (int i = 0; i < x.length; i++) {
      if (Float.floatToRawIntBits(y[i]) != Float.floatToRawIntBits(Exp.exp(x[i]))) {
        throw new AssertionError(x[i] + ": " + y[i] + " instead of " + Exp.exp(x[i]));
      }
    }
  }
}

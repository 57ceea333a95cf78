package io.tercel.kernels.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ExpTest {

  @Test
  void exp_relativeError_isBelow2e7() {
    double worst = 0;
    float at = 0;
    for (float x = -87f; x <= 88f; x += 1.7e-4f) {
      double exact = StrictMath.exp(x);
      double error = Math.abs(Exp.exp(x) - exact) / exact;
      if (error > worst) {
        worst = error;
        at = x;
      }
    }
    System.out.printf("exp: largest relative error %.3g at %s%n", worst, at);
    assertTrue(worst < 2e-7, worst + " at " + at);
  }

  @Test
  void exp_ofZero_isOne() {
    assertEquals(1f, Exp.exp(0f));
    assertEquals(1f, Exp.exp(-0f));
    assertEquals(1f, Exp.exp(1e-30f));
    assertEquals(1f, Exp.exp(Float.MIN_VALUE));
  }

  /** Every float about the clamps, and a walk over the whole range. */
  @Test
  void exp_isMonotone() {
    for (float edge : new float[] {Exp.MIN, Exp.MAX}) {
      float x = edge;
      for (int i = 0; i < 100_000; i++) {
        x = Math.nextDown(x);
      }
      float last = Exp.exp(x);
      for (int i = 0; i < 200_000; i++) {
        x = Math.nextUp(x);
        float y = Exp.exp(x);
        assertTrue(y >= last, x + ": " + y + " after " + last);
        last = y;
      }
    }
    float last = 0;
    for (float x = -90; x < 90; x += 1e-3f) {
      float y = Exp.exp(x);
      assertTrue(y >= last, x + ": " + y + " after " + last);
      last = y;
    }
  }

  @Test
  void exp_outsideItsRange_isZeroOrTheLargest() {
    assertEquals(0f, Exp.exp(Float.NEGATIVE_INFINITY));
    assertEquals(0f, Exp.exp(-1e30f));
    assertEquals(0f, Exp.exp(Math.nextDown(Exp.MIN)));
    assertTrue(Exp.exp(Exp.MIN) >= Float.MIN_NORMAL);
    assertEquals(Exp.exp(Exp.MAX), Exp.exp(Float.POSITIVE_INFINITY));
    assertTrue(Float.isFinite(Exp.exp(Exp.MAX)));
    assertTrue(Float.isNaN(Exp.exp(Float.NaN)));
  }
}

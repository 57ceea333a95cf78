package io.tercel.kernels.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

final class GroupedIntsTest {
  private static int bits(float x) {
    return Float.floatToRawIntBits(x);
  }

  @Test
  void magnitude_isOfTheLargest_andKeepsWhatIsNoNumber() {
    float[] x = {1, -3, 2, -0f, 9};
    assertEquals(bits(3), GroupedInts.magnitude(x, 0, 4));
    x[1] = Float.NEGATIVE_INFINITY;
    assertEquals(bits(Float.POSITIVE_INFINITY), GroupedInts.magnitude(x, 0, 4));
    x[2] = Float.intBitsToFloat(0xffc0_0001); // a negative NaN
    assertTrue(GroupedInts.magnitude(x, 0, 4) > GroupedInts.INFINITE_BITS);
  }

  @Test
  void scale_andFactor_goldens() {
    assertEquals(1f, GroupedInts.scale(bits(32639)));
    assertEquals(1f, GroupedInts.factor(bits(32639)));
    assertEquals(2 / 32639f, GroupedInts.scale(bits(2)));
    assertEquals(32639 / 2f, GroupedInts.factor(bits(2)));
    assertEquals(Float.MAX_VALUE / 32639, GroupedInts.scale(bits(Float.MAX_VALUE)));
    for (float none : new float[] {0, 1e-45f, Math.nextDown(0x1p-100f)}) {
      assertEquals(0f, GroupedInts.scale(bits(none)));
      assertEquals(0f, GroupedInts.factor(bits(none)));
    }
    assertEquals(0x1p-100f / 32639, GroupedInts.scale(bits(0x1p-100f)));
    assertEquals(32639 * 0x1p100f, GroupedInts.factor(bits(0x1p-100f)));
    for (float sick : new float[] {Float.POSITIVE_INFINITY, Float.NaN}) {
      assertTrue(Float.isNaN(GroupedInts.scale(bits(sick))));
      assertEquals(0, GroupedInts.code(sick, GroupedInts.factor(bits(sick))));
    }
  }

  /** As Math.rint, ties to even, which the written form with two additions must be. */
  @Test
  void code_isRint() {
    Random random = new Random(1);
    for (int i = 0; i < 200_000; i++) {
      float x = i < 131_000 ? (i - 65_500) / 2f : (random.nextFloat() - 0.5f) * 65_278;
      if (Math.abs(x) <= GroupedInts.MAX_CODE) {
        assertEquals((int) Math.rint(x), GroupedInts.code(x, 1));
      }
    }
  }

  @Test
  void code_ofTheLargest_isTheLargest() {
    Random random = new Random(2);
    for (int i = 0; i < 100_000; i++) {
      float m = Float.intBitsToFloat(random.nextInt(27 << 23, 255 << 23));
      assertEquals(GroupedInts.MAX_CODE, GroupedInts.code(m, GroupedInts.factor(bits(m))));
    }
  }

  @Test
  void bytes_putTogether_areTheCode_andSigned() {
    for (int code = -GroupedInts.MAX_CODE; code <= GroupedInts.MAX_CODE; code++) {
      byte high = GroupedInts.high(code);
      assertEquals(code, 256 * high + GroupedInts.low(code));
      assertTrue(high >= -127);
    }
  }
}

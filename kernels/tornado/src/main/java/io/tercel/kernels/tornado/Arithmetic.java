package io.tercel.kernels.tornado;

import io.tercel.kernels.ops.Exp;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/**
 * The arithmetic that kernels share, in the constructs that TornadoVM compiles correctly: it has no
 * bit casts, so powers of two come from {@link Powers}, and no {@code Math.fma}.
 *
 * <p>A product that is added to something becomes one fused multiply-add on the device, always: the
 * compiler does that to the syntax {@code a * b + c}. Where the contract rounds twice, {@link
 * #plus} is used, which it cannot fuse. In plain Java, under the simulator, all of it rounds twice.
 */
final class Arithmetic {
  /** 1.5 x 2^23: adding and subtracting it rounds a small float to an integer, half to even. */
  private static final float MAGIC = 12582912f;

  /** The half that a cache has for NaN and infinities: {@code KvQuantizer}'s. */
  static final int NAN = 0x7e00;

  private Arithmetic() {}

  /** One of the ints that an array of longs holds, the first in the lower half of the first. */
  static int intAt(LongArray w, int i) {
    return (int) (w.get(i >> 1) >> (32 * (i & 1)));
  }

  /** a * b + c, rounded once. */
  static float fma(float a, float b, float c) {
    return a * b + c;
  }

  /**
   * a * b, rounded on its own whatever it is added to or subtracted from. NVIDIA's compiler fuses
   * any product and any sum or difference, and can't be told not to from here; this one is fused
   * already, with a zero that changes nothing, not even a sign.
   */
  static float product(float a, float b, FloatArray powers) {
    return a * b + powers.get(Powers.MINUS_ZERO);
  }

  /** Neither NaN nor infinite: zero times it is zero. */
  static boolean isFinite(float x) {
    return 0f * x == 0f;
  }

  /** a + b, even where b is a product: rounded twice then. */
  static float plus(float a, float b) {
    return a - (0f - b);
  }

  /** {@link Exp#exp}: the same steps, 2^n from the table. */
  static float exp(float x, FloatArray powers) {
    float clamped = Math.max(Math.min(x, Exp.MAX), Exp.MIN);
    float shifted = clamped * Exp.LOG2_E + Exp.MAGIC;
    float n = shifted - Exp.MAGIC;
    float r = n * -Exp.LN2_HI + clamped;
    r = n * -Exp.LN2_LO + r;
    float p = Exp.C7 * r + Exp.C6;
    p = p * r + Exp.C5;
    p = p * r + Exp.C4;
    p = p * r + Exp.C3;
    p = p * r + Exp.C2;
    float square = r * r;
    p = (p * square + r) + 1f;
    float result = p * powers.get(Powers.TWO + (int) n);
    // strict comparisons, since of these the device knows that a NaN is neither; 0 x is NaN then
    return x > Exp.MIN ? result : x < Exp.MIN ? 0f : result + 0f * x;
  }

  /** The float that 16 bits stand for, as bf16. */
  static float bf16(int bits, FloatArray powers) {
    int exponent = (bits >> 7) & 255;
    int implicit = exponent == 0 ? 0 : 128;
    return powers.get(Powers.BF16 + ((bits >> 7) & 511)) * (implicit + (bits & 127));
  }

  /** The float that 16 bits stand for, as fp16; NaN where they stand for no finite number. */
  static float fp16(int bits, FloatArray powers) {
    int exponent = (bits >> 10) & 31;
    int implicit = exponent == 0 ? 0 : 1024;
    return powers.get(Powers.FP16 + ((bits >> 10) & 63)) * (implicit + (bits & 1023));
  }

  /** The bits of the nearest half, half to even, saturated at 65504; {@link #NAN} for no number. */
  static int half(float x, FloatArray powers) {
    float size = Math.min(Math.abs(x), 65504f);
    int exponent = -14; // the largest power of two that is not above, from 2^-14 on
    for (int step = 16; step > 0; step = step >> 1) {
      if (exponent + step <= 15 && size >= powers.get(Powers.TWO + exponent + step)) {
        exponent += step;
      }
    }
    int units = (int) rint(size * powers.get(Powers.TWO + 10 - exponent));
    // 1024 or more units carry into the exponent; fewer are a subnormal
    int bits = ((exponent + 14) << 10) + units;
    int signed = x < 0f || (x == 0f && 1f / x < 0f) ? bits + 32768 : bits;
    return isFinite(x) ? signed : NAN;
  }

  /** What a row is multiplied by that has this sum of squares; NaN where that is no number. */
  static float normScale(float sum, int width, float eps) {
    double mean = (double) sum / width;
    float root = (float) (1.0 / TornadoMath.sqrt(mean + eps));
    return root + 0f * sum;
  }

  /** The nearest integer, half to even, for values within 2^22. */
  static float rint(float x) {
    return (x + MAGIC) - MAGIC;
  }

  /** The nearest integer to a product within 2^22, which is rounded before. */
  static float rint(float a, float b) {
    return plus(MAGIC, a * b) - MAGIC;
  }

  /** clamp(rint(steps) + zero, 0, 15): the code of so many steps; they are a number. */
  static int fourBits(float steps, int zero) {
    float near = Math.max(Math.min(steps, 31f), -31f);
    return Math.max(Math.min((int) rint(near) + zero, 15), 0);
  }

  /** {@code LaneSum.tree}; no array, since a local one must not be handed to another method. */
  static float tree(
      float a,
      float b,
      float c,
      float d,
      float e,
      float f,
      float g,
      float h,
      float i,
      float j,
      float k,
      float l,
      float m,
      float n,
      float o,
      float p) {
    float s0 = (a + e) + (i + m);
    float s1 = (b + f) + (j + n);
    float s2 = (c + g) + (k + o);
    float s3 = (d + h) + (l + p);
    return (s0 + s1) + (s2 + s3);
  }
}

package io.tercel.kernels.ops;

/**
 * How activations become integers: the definition of the rounding that {@link
 * io.tercel.kernels.memory.InputSpec.Int16PerGroup} asks for. A group of 128 inputs of one token
 * has one scale and 128 codes of 16 bits,
 *
 * <pre>
 * m   = the largest of bits(x) &amp; 0x7fffffff, compared as ints: the bits of the largest |x|
 * s   = m / 32639               q = rint(x * (32639 / m))         each operation rounded to fp32
 *
 * m &lt; 2^-100             s = 0,   all q = 0
 * m is infinite or NaN    s = NaN, all q = 0: all that follows from the group is NaN
 * </pre>
 *
 * so that x is about s q. An integer maximum has no order and does not lose a NaN, as a maximum of
 * floats may. rint is to the nearest, ties to even; for these sizes it is (v + 0x1.8p23f) -
 * 0x1.8p23f.
 *
 * <p>32639 = 127 * 257, so that a code's low byte, taken as signed, and what remains above it are
 * both within -127..127 or, the low one, -128: q = 256 high + low. Products with unsigned codes
 * then are two sums of bytes by bytes. A group's sum of codes serves the weights' zero points.
 */
public final class GroupedInts {
  /** Inputs that share a scale. */
  public static final int GROUP = 128;

  /** The largest magnitude of a code. */
  public static final int MAX_CODE = 127 * 257;

  /** Groups whose largest magnitude has smaller bits than this become zeros: those of 2^-100. */
  public static final int LEAST_BITS = 27 << 23;

  /** Bits of infinity; larger ones are NaN's. */
  public static final int INFINITE_BITS = 0x7f80_0000;

  /** Adding and subtracting it rounds what is below 2^22 to a whole number. */
  private static final float ROUNDER = 0x1.8p23f;

  private GroupedInts() {}

  /** m: the largest of the magnitudes' bits among {@code count} floats from {@code at} on. */
  public static int magnitude(float[] x, int at, int count) {
    int m = 0;
    for (int k = at; k < at + count; k++) {
      m = Math.max(m, Float.floatToRawIntBits(x[k]) & 0x7fff_ffff);
    }
    return m;
  }

  /** s of a group with this m. */
  public static float scale(int magnitude) {
    if (magnitude >= INFINITE_BITS) {
      return Float.NaN;
    }
    return magnitude < LEAST_BITS ? 0 : Float.intBitsToFloat(magnitude) / MAX_CODE;
  }

  /** What inputs are multiplied by before they are rounded; 0 where every code is 0. */
  public static float factor(int magnitude) {
    boolean usual = magnitude >= LEAST_BITS && magnitude < INFINITE_BITS;
    return usual ? MAX_CODE / Float.intBitsToFloat(magnitude) : 0;
  }

  /** q of one input in a group with this {@link #factor}. */
  public static int code(float x, float factor) {
    return factor == 0 ? 0 : (int) (x * factor + ROUNDER - ROUNDER);
  }

  /** The signed byte below. */
  public static byte low(int code) {
    return (byte) code;
  }

  /** The signed byte above: code = 256 high + low. */
  public static byte high(int code) {
    return (byte) (code - (byte) code >> 8);
  }
}

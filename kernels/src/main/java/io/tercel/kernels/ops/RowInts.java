package io.tercel.kernels.ops;

/**
 * How a row of activations becomes integers of 4 bits, with a scale and a zero point: what {@link
 * io.tercel.kernels.memory.InputSpec.Int4PerToken} asks for, once the row is transformed.
 *
 * <pre>
 * low   = min(x, 0) lowClip,   high = max(x, 0) highClip      over the whole row
 * range = high - low
 * scale = range / 15;   0 where range is below 2^-100;   NaN where an element or range is not finite
 * zero  = clamp(rint(-low / scale), 0, 15)
 * code  = clamp(rint(x / scale) + zero, 0, 15)
 * </pre>
 *
 * Where the scale is 0 or NaN, the zero point and all codes are 0. rint is half to even.
 */
public final class RowInts {
  /** The largest code. */
  public static final int MAX_CODE = 15;

  /** Ranges below this are none. */
  private static final float LEAST = 0x1p-100f;

  private RowInts() {}

  /**
   * The scale of a row.
   *
   * @param low at most 0, clipped
   * @param high at least 0, clipped
   * @param finite whether all elements are
   */
  public static float scale(float low, float high, boolean finite) {
    float range = high - low;
    if (!finite || !(range < Float.POSITIVE_INFINITY)) {
      return Float.NaN;
    }
    return range < LEAST ? 0 : range / MAX_CODE;
  }

  /** The zero point of a row. */
  public static int zero(float low, float scale) {
    return scale > 0 ? clamp(Math.rint(-low / scale)) : 0;
  }

  /** The code of an element. */
  public static int code(float x, float scale, int zero) {
    return scale > 0 ? clamp(Math.rint(x / scale) + zero) : 0;
  }

  private static int clamp(double code) {
    return (int) Math.max(0, Math.min(MAX_CODE, code));
  }
}

package io.tercel.trainer.quant;

/**
 * The 3-bit grid of a group: w^ = s (code - z), code 0..7, s an fp16 value. This holds the rules by
 * which s and z are chosen and the one formula that rounds a weight.
 *
 * @param symmetric z is 4 everywhere and s = max|w| / 3; else z lies where zero falls and s = range
 *     / 7
 * @param clip searches the share of the range that is best to keep
 * @param minZero least zero point of an asymmetric group: 1 for files that cannot store 0, else 0
 */
public record Grid(boolean symmetric, boolean clip, int minZero) {
  /** Weights that share a scale and a zero point. */
  public static final int GROUP = 128;

  /** Largest code. */
  public static final int MAX_CODE = 7;

  /** The zero point of every symmetric group: codes 0..7 stand for -4..3. */
  public static final int SYMMETRIC_ZERO = 4;

  public Grid {
    if (minZero < 0 || minZero > 1) {
      throw new IllegalArgumentException("minZero: " + minZero + ", 0 or 1 is possible");
    }
  }

  /** Without a least zero point. */
  public Grid(boolean symmetric, boolean clip) {
    this(symmetric, clip, 0);
  }

  /** Groups of a row of so many weights; the last may be shorter. */
  public static int groups(int cols) {
    return Math.ceilDiv(cols, GROUP);
  }

  /** clamp(rint(w / s) + z, 0, 7), w / s in floats, half to even. */
  public static int code(float w, float scale, int zero) {
    return (int) Math.clamp(Math.rint(w / scale) + zero, 0, MAX_CODE);
  }

  /** s (code - z), exact in floats. */
  public static float value(int code, float scale, int zero) {
    return scale * (code - zero);
  }

  /** The nearest fp16 value. */
  public static float half(float x) {
    return Float.float16ToFloat(Float.floatToFloat16(x));
  }
}

package io.tercel.kernels.ops;

/**
 * e^x in single precision as a written-out sequence of IEEE operations, so that every backend, cold
 * or compiled, gets the same bits (a math library's or an intrinsic's exp would not). Relative
 * error below 2e-7 on [-87, 88].
 *
 * <p>x = n ln 2 + r with n = rint(x / ln 2) by the addition of {@link #MAGIC}; e^r by a polynomial
 * of degree 7; 2^n by the exponent bits.
 */
public final class Exp {
  /** 1 / ln 2. */
  public static final float LOG2_E = 1.442695f;

  /** 1.5 x 2^23: adding it rounds a float to an integer, half to even, in the low mantissa bits. */
  public static final float MAGIC = 12582912f;

  /** ln 2, its upper bits: n x LN2_HI is exact for |n| below 2^10. */
  public static final float LN2_HI = 0.6933594f;

  /** ln 2 - LN2_HI. */
  public static final float LN2_LO = -0.00021219444f;

  /** Below this the result is 0. */
  public static final float MIN = -87.3f;

  /** Above this the argument is taken for this. */
  public static final float MAX = 88.3f;

  /**
   * Coefficients of r^2 .. r^7 in e^r = 1 + r + r^2 (C2 + r (C3 + ...)); minimax on [-ln2/2,
   * ln2/2].
   */
  public static final float C2 = 0.5f;

  public static final float C3 = 0.16666666f;
  public static final float C4 = 0.041665796f;
  public static final float C5 = 0.008333452f;
  public static final float C6 = 0.0013981999f;
  public static final float C7 = 0.00019875691f;

  private Exp() {}

  /** e^x; 0 below {@link #MIN}, e^{@link #MAX} above it, NaN for any NaN that arithmetic makes. */
  public static float exp(float x) {
    float clamped = Math.min(x, MAX);
    float shifted = Math.fma(clamped, LOG2_E, MAGIC);
    float n = shifted - MAGIC;
    float r = Math.fma(n, -LN2_HI, clamped);
    r = Math.fma(n, -LN2_LO, r);
    float p = Math.fma(C7, r, C6);
    p = Math.fma(p, r, C5);
    p = Math.fma(p, r, C4);
    p = Math.fma(p, r, C3);
    p = Math.fma(p, r, C2);
    p = Math.fma(p, r * r, r) + 1f;
    int exponent = (Float.floatToRawIntBits(shifted) - Float.floatToRawIntBits(MAGIC)) << 23;
    float result = Float.intBitsToFloat(Float.floatToRawIntBits(p) + exponent);
    return x < MIN ? 0f : result;
  }
}

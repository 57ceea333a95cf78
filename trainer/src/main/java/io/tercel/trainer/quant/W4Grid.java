package io.tercel.trainer.quant;

/**
 * The 4-bit grid of a row of weights: w^ = s q, q from -8 to 7, s an fp16 value; and that of a
 * token's activations, keys or values, 0 to 15 with a zero point.
 */
public final class W4Grid {
  /** Least code of a weight. */
  public static final int MIN_CODE = -8;

  /** Largest code of a weight. */
  public static final int MAX_CODE = 7;

  /** Largest code of an activation, key or value; the least is 0. */
  public static final int MAX_INPUT_CODE = 15;

  private static final float LEAST = 1e-5f;

  private W4Grid() {}

  /**
   * The scale of a row, rounded to fp16.
   *
   * @param magnitude what code 7 stands for: the largest |w| of the row, or a share of it
   * @throws IllegalArgumentException if fp16 cannot hold it
   */
  public static float scale(float magnitude) {
    float scale = Float.float16ToFloat(Float.floatToFloat16(Math.max(magnitude, LEAST) / MAX_CODE));
    if (!Float.isFinite(scale)) {
      throw new IllegalArgumentException(
          "weights up to %s exceed what an fp16 scale can hold".formatted(magnitude));
    }
    return scale;
  }

  /** clamp(rint(w / s), -8, 7), half to even. */
  public static int code(float w, float scale) {
    return (int) Math.clamp(Math.rint(w / scale), MIN_CODE, MAX_CODE);
  }
}

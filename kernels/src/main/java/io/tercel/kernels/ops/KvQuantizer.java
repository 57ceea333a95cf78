package io.tercel.kernels.ops;

/**
 * The 4-bit rounding of keys and values, one head of one token at a time: asymmetric, codes 0 to
 * 15, value = s (code - z).
 *
 * <pre>
 *   xmin = min(x, 0) clip[0], xmax = max(x, 0) clip[1]
 *   s    = (xmax - xmin) / 15, rounded to fp16 and at most 65504
 *   z    = clamp(rint(-xmin / s), 0, 15)
 *   code = clamp(rint(x / s) + z, 0, 15)
 * </pre>
 *
 * s is rounded first and z and the codes are computed from it. Where s is 0 (all zeros, or so small
 * that fp16 has nothing for it) z and the codes are 0. rint is half to even. If any element is NaN
 * or infinite, s is NaN, and z and the codes are 0.
 */
public final class KvQuantizer {
  /** The largest code. */
  public static final int MAX_CODE = 15;

  private static final float MAX_HALF = 65504f;

  /**
   * Floats of this size are 1 apart: adding it rounds to an integer, half to even, as rint does.
   */
  private static final float HALVES_GONE = 3 << 22;

  private static final float[] NO_CLIP = {1, 1};

  private static final int INFINITE = 0x7f80_0000;

  private KvQuantizer() {}

  /** {@link #scaleAndZero(float[], int, int, float[])} without a clip. */
  public static int scaleAndZero(float[] x, int at, int headDim) {
    return scaleAndZero(x, at, headDim, NO_CLIP);
  }

  /**
   * Scale and zero of a head, as the cache stores them: the scale's fp16 bits, the zero above.
   *
   * @param clip low and high, as a {@code KvTransform} has them
   */
  public static int scaleAndZero(float[] x, int at, int headDim, float[] clip) {
    float min = 0;
    float max = 0;
    int largest = 0; // by bits, where NaN is above infinity, and no maximum can lose it
    for (int d = at; d < at + headDim; d++) {
      largest = Math.max(largest, Float.floatToRawIntBits(x[d]) & 0x7fff_ffff);
      min = x[d] < min ? x[d] : min;
      max = x[d] > max ? x[d] : max;
    }
    if (largest >= INFINITE) {
      return KvAppend.NAN_HALF;
    }
    min *= clip[0];
    max *= clip[1];
    // halves: the range of two large floats may be infinite
    float range = (max / 2 - min / 2) / (MAX_CODE / 2f);
    short bits = Float.floatToFloat16(Math.min(range, MAX_HALF));
    float scale = Float.float16ToFloat(bits);
    int zero = scale == 0 ? 0 : clamp(Math.rint(-min / scale));
    return zero << 16 | Short.toUnsignedInt(bits);
  }

  /** The code of one element. */
  public static int code(float x, int scaleAndZero) {
    return code(x, scale(scaleAndZero), zero(scaleAndZero));
  }

  /** The code of one element by a scale and a zero that were taken apart, as loops do once. */
  static int code(float x, float scale, int zero) {
    if (scale == 0) {
      return 0;
    }
    // beyond 2^22 the sum has no halves to round, nor have such quotients, all of which are clamped
    int nearest = (int) (x / scale + HALVES_GONE - HALVES_GONE);
    return Math.max(-zero, Math.min(MAX_CODE - zero, nearest)) + zero;
  }

  /** s. */
  public static float scale(int scaleAndZero) {
    return Float.float16ToFloat((short) scaleAndZero);
  }

  /** z. */
  public static int zero(int scaleAndZero) {
    return scaleAndZero >>> 16;
  }

  /** s (code - z): what a code stands for. */
  public static float value(int code, int scaleAndZero) {
    return scale(scaleAndZero) * (code - zero(scaleAndZero));
  }

  private static int clamp(double code) {
    return (int) Math.max(0, Math.min(MAX_CODE, code));
  }
}

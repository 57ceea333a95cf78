package io.tercel.kernels.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KvQuantizerTest {
  private static int[] codes(float... x) {
    int meta = KvQuantizer.scaleAndZero(x, 0, x.length);
    return IntStream.range(0, x.length).map(i -> KvQuantizer.code(x[i], meta)).toArray();
  }

  private static void assertQuantized(float scale, int zero, int[] codes, float... x) {
    int meta = KvQuantizer.scaleAndZero(x, 0, x.length);
    assertEquals(scale, KvQuantizer.scale(meta));
    assertEquals(zero, KvQuantizer.zero(meta));
    assertEquals(Arrays.toString(codes), Arrays.toString(codes(x)));
  }

  @Test
  void quantize_goldens() {
    assertQuantized(0f, 0, new int[] {0, 0, 0}, 0f, -0f, 0f);
    assertQuantized(0.25f, 0, new int[] {15, 15}, 3.75f, 3.75f); // constant: 0 is in the range
    assertQuantized(0.25f, 15, new int[] {0, 0}, -3.75f, -3.75f);
    assertQuantized(1f, 0, new int[] {0, 1, 15, 8}, 0f, 1f, 15f, 7.5f); // positive only
    assertQuantized(1f, 15, new int[] {15, 14, 0, 7}, 0f, -1f, -15f, -7.5f); // negative only
    assertQuantized(1f, 5, new int[] {0, 5, 15, 6}, -5f, 0f, 10f, 1.25f);
    assertQuantized(0.5f, 2, new int[] {0, 2, 2, 4, 15}, -1f, 0f, 0.25f, 0.75f, 6.5f); // ties
    assertQuantized(64f, 0, new int[] {15, 0, 0, 0}, 960f, 1f, 0f, 31f); // one outlier
  }

  @Test
  void quantize_extremes() {
    float tiny = 0x1p-24f; // the smallest half
    assertQuantized(tiny, 0, new int[] {15, 1}, 15 * tiny, tiny);
    assertQuantized(0f, 0, new int[] {0, 0}, 7 * tiny, -Float.MIN_VALUE); // rounds to no scale
    assertQuantized(65504f, 0, new int[] {15, 1}, 1e38f, 65504f);
    float all = Float.MAX_VALUE; // ends saturate, whatever the range
    assertQuantized(65504f, 15, new int[] {15, 0, 15}, all, -all, 0f);
  }

  /** As the class describes it, ties and quotients of all sizes, infinite ones too. */
  @Test
  void codes_areTheNearestInteger_halfToEven_clamped() {
    Random random = new Random(4);
    for (int trial = 0; trial < 1_000_000; trial++) {
      float scale = Float.float16ToFloat((short) (random.nextInt(0x7bff) + 1)); // positive, finite
      int zero = random.nextInt(16);
      float x =
          switch (trial % 3) {
            case 0 -> (random.nextInt(81) - 40) / 2f * scale; // ties
            case 1 -> (float) (20 * random.nextGaussian()) * scale;
            default -> Float.intBitsToFloat(random.nextInt()); // any exponent
          };
      x = Float.isFinite(x) ? x : 0;
      int expected = (int) Math.max(0, Math.min(15, Math.rint((double) (x / scale)) + zero));
      int meta = zero << 16 | Float.floatToFloat16(scale) & 0xffff;
      assertEquals(expected, KvQuantizer.code(x, meta), x + " / " + scale + " + " + zero);
    }
  }

  /** Whatever the codes: no value of the head is a number any more. */
  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void quantize_whatIsNotFinite_makesTheScaleNaN(float bad) {
    for (int at = 0; at < 3; at++) {
      float[] x = {1, -15, 3};
      x[at] = bad;
      int meta = KvQuantizer.scaleAndZero(x, 0, 3);
      assertTrue(Float.isNaN(KvQuantizer.scale(meta)), x[at] + " at " + at);
      for (float e : x) {
        assertTrue(Float.isNaN(KvQuantizer.value(KvQuantizer.code(e, meta), meta)));
      }
    }
  }

  /** Half a step, and what rounding the scale to fp16 moves the ends. */
  @ParameterizedTest
  @ValueSource(doubles = {1e-6, 1e-4, 1, 1e4})
  void quantize_errorIsBounded(double deviation) {
    Random random = new Random(3);
    for (int n : new int[] {8, 24, 64, 128}) {
      for (int trial = 0; trial < 200; trial++) {
        float[] x = new float[n];
        double shift = trial % 3 - 1;
        for (int i = 0; i < n; i++) {
          x[i] = (float) (deviation * (random.nextGaussian() + 4 * shift));
        }
        double max = 0;
        double min = 0;
        for (float e : x) {
          max = Math.max(max, e);
          min = Math.min(min, e);
        }
        int meta = KvQuantizer.scaleAndZero(x, 0, n);
        double s = KvQuantizer.scale(meta);
        double bound = s / 2 + 15 * Math.abs(s - (max - min) / 15);
        for (float e : x) {
          int code = KvQuantizer.code(e, meta);
          assertTrue(code >= 0 && code <= 15);
          double error = Math.abs(KvQuantizer.value(code, meta) - (double) e);
          assertTrue(error <= bound * (1 + 1e-6), error + " > " + bound);
        }
      }
    }
  }
}

package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.GroupFit;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How groups are fitted and rounded, against the formulas written out. */
class GridTest {
  private static final Ops OPS = new ScalarOps();

  private static float half(double x) {
    return Float.float16ToFloat(Float.floatToFloat16((float) x));
  }

  @Test
  void symmetric_byFormula() {
    float[] w = Matrices.gaussian(4, 128, 0.05, 1);
    QuantizedMatrix m = Rtn.quantize(w, 4, 128, new Grid(true, false), OPS);
    for (int row = 0; row < 4; row++) {
      float max = 0;
      for (int j = 0; j < 128; j++) {
        max = Math.max(max, Math.abs(w[row * 128 + j]));
      }
      float s = half(max / 3);
      assertEquals(s, m.scales()[row]);
      assertEquals(4, m.zeros()[row]);
      for (int j = 0; j < 128; j++) {
        int signed = (int) Math.clamp(Math.rint(w[row * 128 + j] / s), -4, 3);
        assertEquals(signed, m.codes()[row * 128 + j] - 4);
      }
    }
  }

  @Test
  void asymmetric_byFormula() {
    float[] w = Matrices.gaussian(4, 256, 0.05, 2);
    QuantizedMatrix m = Rtn.quantize(w, 4, 256, new Grid(false, false), OPS);
    for (int row = 0; row < 4; row++) {
      for (int g = 0; g < 2; g++) {
        float min = 0;
        float max = 0;
        for (int j = g * 128; j < g * 128 + 128; j++) {
          min = Math.min(min, w[row * 256 + j]);
          max = Math.max(max, w[row * 256 + j]);
        }
        float s = half((max - min) / 7);
        int z = (int) Math.rint(-min / s);
        assertEquals(s, m.scales()[row * 2 + g]);
        assertEquals(z, m.zeros()[row * 2 + g]);
        for (int j = g * 128; j < g * 128 + 128; j++) {
          int code = (int) Math.clamp(Math.rint(w[row * 256 + j] / s) + z, 0, 7);
          assertEquals(code, m.codes()[row * 256 + j]);
        }
      }
    }
  }

  /** The search with its table gives what the search by definition gives, group for group. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void clipSearch_isThePlainSearch(boolean symmetric) {
    Random random = new Random(7);
    GroupFit fast = new GroupFit(new Grid(symmetric, true));
    int clipped = 0;
    for (int trial = 0; trial < 300; trial++) {
      float[] w = Matrices.gaussian(1, 128, Math.exp(3 * random.nextGaussian()) / 50, trial);
      if (trial % 3 == 0) {
        w[random.nextInt(128)] *= 10;
      }
      float min = 0;
      float max = 0;
      for (float x : w) {
        min = Math.min(min, x);
        max = Math.max(max, x);
      }
      if (symmetric) {
        max = Math.max(-min, max);
        min = -max;
      }
      double least = Double.POSITIVE_INFINITY;
      float scale = 0;
      int zero = 0;
      for (int i = 0; i < 80; i++) {
        float p = 1 - i / 100f;
        float s =
            symmetric
                ? half(Math.max(p * max, 1e-5f) / 3)
                : half(Math.max(p * max - p * min, 1e-5f) / 7);
        int z = symmetric ? 4 : (int) Math.clamp(Math.rint(-(p * min) / s), 0, 7);
        double sum = 0;
        for (float x : w) {
          float y = s * ((int) Math.clamp(Math.rint(x / s) + z, 0, 7) - z);
          sum += Math.pow(Math.abs(y - x), 2.4);
        }
        if (sum < least) {
          least = sum;
          scale = s;
          zero = z;
          clipped += i > 0 ? 1 : 0;
        }
      }
      fast.fit(w, 0, 128);
      assertEquals(scale, fast.scale(), "trial " + trial);
      assertEquals(zero, fast.zero(), "trial " + trial);
    }
    assertTrue(clipped > 300);
  }

  @Test
  void allZeroGroup_staysZero() {
    for (boolean symmetric : new boolean[] {true, false}) {
      for (boolean clip : new boolean[] {true, false}) {
        QuantizedMatrix m =
            Rtn.quantize(new float[2 * 160], 2, 160, new Grid(symmetric, clip), OPS);
        assertArrayEquals(new float[2 * 160], m.dequantize());
        for (int g = 0; g < 4; g++) {
          assertTrue(m.scales()[g] > 0);
        }
      }
    }
  }

  /** The range includes 0, so a constant is one end of it. */
  @ParameterizedTest
  @ValueSource(floats = {0.7f, -0.7f, 1e-9f, 3e4f})
  void constantRow_keepsItsValue(float value) {
    float[] w = new float[128];
    Arrays.fill(w, value);
    float[] back = Rtn.quantize(w, 1, 128, new Grid(false, false), OPS).dequantize();
    for (float x : back) {
      assertEquals(value, x, Math.max(Math.abs(value) / 1000, 1e-5f));
    }
  }

  @Test
  void leastZeroPoint_ofOne_coversTheRange() {
    float[] w = new float[128];
    for (int j = 0; j < 128; j++) {
      w[j] = j / 128f;
    }
    QuantizedMatrix free = Rtn.quantize(w, 1, 128, new Grid(false, false), OPS);
    assertEquals(0, free.minZero());
    for (boolean clip : new boolean[] {true, false}) {
      QuantizedMatrix bound = Rtn.quantize(w, 1, 128, new Grid(false, clip, 1), OPS);
      assertEquals(1, bound.minZero());
      assertEquals(0.99f, bound.dequantize()[127], 0.09f);
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void notFinite_isRefusedByPlace(float bad) {
    float[] w = Matrices.gaussian(3, 128, 1, 3);
    w[2 * 128 + 5] = bad;
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Rtn.quantize(w, 3, 128, new Grid(false, false), OPS));
    assertTrue(String.valueOf(e.getMessage()).contains("output 2, input 5"), e.getMessage());
  }

  @Test
  void tooLargeForHalf_isRefused() {
    float[] w = Matrices.gaussian(1, 128, 1e7, 3);
    assertThrows(
        IllegalArgumentException.class, () -> Rtn.quantize(w, 1, 128, new Grid(false, false), OPS));
  }
}

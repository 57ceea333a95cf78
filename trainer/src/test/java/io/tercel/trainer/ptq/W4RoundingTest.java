package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.trainer.quant.W4Grid;
import io.tercel.trainer.quant.W4Matrix;
import org.junit.jupiter.api.Test;

/** Four-bit weights: the grid, plain rounding, the clip search, GPTQ. */
class W4RoundingTest {
  private final Ops ops = new ScalarOps();

  @Test
  void packed_isTwosComplement_lowNibbleFirst() {
    W4Matrix matrix = new W4Matrix(1, 4, new byte[] {-8, 7, -1, 1}, new float[] {0.5f});
    assertArrayEquals(new byte[] {0x78, 0x1f}, matrix.packed());
    assertArrayEquals(new float[] {-4, 3.5f, -0.5f, 0.5f}, matrix.dequantize());
    assertArrayEquals(new short[] {0x3800}, matrix.scaleBits());
    W4Matrix odd = new W4Matrix(2, 1, new byte[2], new float[2]);
    assertThrows(IllegalStateException.class, odd::packed);
  }

  @Test
  void rtn_scaleIsAHalf_beforeCodesAreComputed() {
    float[] w = {0.7f, -0.31f, 0.05f, 0, /* next row */ 0, 0, 0, 0};
    W4Matrix matrix = W4Rtn.quantize(w, 2, 4, null, ops);
    float s = Float.float16ToFloat(Float.floatToFloat16(0.7f / 7));
    assertEquals(s, matrix.scales()[0]);
    assertArrayEquals(new byte[] {7, -3, 1, 0, 0, 0, 0, 0}, matrix.codes());
    assertTrue(matrix.scales()[1] > 0, "of zeros");
    W4Matrix half = W4Rtn.quantize(w, 2, 4, (row, max, min) -> Math.max(max, -min) / 2, ops);
    assertArrayEquals(new byte[] {7, -6, 1, 0, 0, 0, 0, 0}, half.codes());
    // below zero there is one code more
    assertEquals(-8, W4Grid.code(-100, 1));
    assertThrows(
        IllegalArgumentException.class,
        () -> W4Rtn.quantize(new float[] {1, Float.NaN}, 1, 2, null, ops));
    assertThrows(
        IllegalArgumentException.class,
        () -> W4Rtn.quantize(new float[] {1, 1e9f}, 1, 2, null, ops));
  }

  @Test
  void fit_isThePlainSearch() {
    for (int seed = 0; seed < 40; seed++) {
      float[] w = Matrices.gaussian(1, 96, 0.05, seed);
      w[seed] *= 1 + seed % 7; // an outlier, that a clip may cut
      double least = Double.POSITIVE_INFINITY;
      float best = 0;
      for (int i = 0; i < 80; i++) {
        float scale = W4Grid.scale((1 - i / 100f) * W4Fit.magnitude(w, 0, 96));
        double sum = error(w, scale);
        if (sum < least) {
          least = sum;
          best = scale;
        }
      }
      float found = W4Fit.scale(w, 0, 96);
      // ties within the table's error may fall either way
      assertTrue(error(w, found) <= least * (1 + 1e-4), found + " for " + best);
    }
  }

  private static double error(float[] w, float scale) {
    double sum = 0;
    for (float x : w) {
      sum += Math.pow(Math.abs(W4Grid.code(x, scale) * scale - x), 2.4);
    }
    return sum;
  }

  @Test
  void gptq_latentsRoundToTheCodes_andOutputsAreNearer() {
    int rows = 48;
    int cols = 160;
    float[] w = Matrices.gaussian(rows, cols, 0.05, 1);
    float[] x = Matrices.autoregressive(600, cols, 0.9, 2);
    Hessian hessian = new Hessian(cols);
    hessian.add(x, 600, 4, ops);
    for (boolean actOrder : new boolean[] {false, true}) {
      InverseFactor factor = InverseFactor.of(hessian, actOrder, 0.01, ops);
      W4Gptq.Result result = W4Gptq.quantize(w, rows, factor, ops);
      W4Matrix matrix = result.matrix();
      for (int i = 0; i < w.length; i++) {
        assertEquals(
            matrix.codes()[i], W4Grid.code(result.latents()[i], matrix.scales()[i / cols]));
      }
      W4Matrix rtn = W4Rtn.quantize(w, rows, cols, null, ops);
      double gptqError = Matrices.outputError(matrix.dequantize(), w, rows, cols, x);
      double rtnError = Matrices.outputError(rtn.dequantize(), w, rows, cols, x);
      assertTrue(rtnError > 3 * gptqError, rtnError + " against " + gptqError);
    }
  }

  @Test
  void gptq_onUncorrelatedInputs_isPlainRoundingByTheFittedScale() {
    int cols = 64;
    Hessian hessian = new Hessian(cols);
    for (int i = 0; i < cols; i++) {
      hessian.set(i, i, 1 + i % 3);
    }
    float[] w = Matrices.gaussian(5, cols, 0.05, 1);
    InverseFactor factor = InverseFactor.of(hessian, true, 0, ops);
    W4Matrix matrix = W4Gptq.quantize(w, 5, factor, ops).matrix();
    assertArrayEquals(w, W4Gptq.quantize(w, 5, factor, ops).latents());
    for (int row = 0; row < 5; row++) {
      assertEquals(W4Fit.scale(w, row * cols, cols), matrix.scales()[row]);
    }
  }
}

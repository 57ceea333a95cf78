package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GptqTest {
  private static final Ops OPS = new ScalarOps();

  private static Hessian hessian(float[] x, int cols) {
    Hessian h = new Hessian(cols);
    h.add(x, x.length / cols, 4, OPS);
    return h;
  }

  private static Hessian diagonal(int n) {
    Hessian h = new Hessian(n);
    Random random = new Random(5);
    for (int i = 0; i < n; i++) {
      h.set(i, i, Math.exp(random.nextGaussian()));
    }
    return h;
  }

  private static Gptq.Settings settings(boolean staticGroups, boolean clip, int block) {
    return new Gptq.Settings(new Grid(false, clip), staticGroups, block);
  }

  private static void assertSame(QuantizedMatrix expected, QuantizedMatrix actual) {
    assertArrayEquals(expected.scales(), actual.scales());
    assertArrayEquals(expected.zeros(), actual.zeros());
    assertArrayEquals(expected.codes(), actual.codes());
  }

  @Test
  void hessian_isTheRunningMean_whateverTheBatches() {
    int n = 37;
    float[] x = Matrices.gaussian(60, n, 1, 1);
    Hessian once = new Hessian(n);
    once.add(x, 60, 6, OPS);
    Hessian parts = new Hessian(n);
    try (Ops ops = new VectorOps(2)) {
      parts.add(Arrays.copyOfRange(x, 0, 10 * n), 10, 1, ops);
      parts.add(Arrays.copyOfRange(x, 10 * n, 60 * n), 50, 5, ops);
    }
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int t = 0; t < 60; t++) {
          sum += (double) x[t * n + i] * x[t * n + j];
        }
        assertEquals(2 * sum / 6, once.at(i, j), 1e-4);
        assertEquals(once.at(i, j), parts.at(i, j), 1e-5);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void factor_isTheUpperCholeskyOfTheInverse(boolean actOrder) {
    int n = 75;
    Hessian h = hessian(Matrices.autoregressive(300, n, 0.9, 2), n);
    InverseFactor factor = InverseFactor.of(h, actOrder, 0.01, OPS);
    double mean = 0;
    for (int i = 0; i < n; i++) {
      mean += h.at(i, i) / n;
    }
    // U^T U H must be the identity
    int[] order = factor.order();
    float[][] u = factor.u();
    double[] inverse = new double[n * n];
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        for (int k = 0; k <= Math.min(i, j); k++) {
          inverse[i * n + j] += (double) u[k][i] * u[k][j];
        }
        assertTrue(i <= j || u[i][j] == 0);
      }
    }
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int k = 0; k < n; k++) {
          int from = order == null ? k : order[k];
          int to = order == null ? j : order[j];
          sum += inverse[i * n + k] * (h.at(from, to) + (from == to ? 0.01 * mean : 0));
        }
        assertEquals(i == j ? 1 : 0, sum, 1e-4);
      }
    }
    for (int i = 1; i < n && order != null; i++) {
      assertTrue(h.at(order[i - 1], order[i - 1]) >= h.at(order[i], order[i]));
    }
  }

  @ParameterizedTest
  @CsvSource({"false,false", "true,false", "false,true", "true,true"})
  void diagonalHessian_isExactlyRtn(boolean actOrder, boolean clip) {
    float[] w = Matrices.gaussian(24, 320, 0.04, 3);
    InverseFactor factor = InverseFactor.of(diagonal(320), actOrder, 0.01, OPS);
    for (boolean symmetric : new boolean[] {false, true}) {
      Grid grid = new Grid(symmetric, clip);
      Gptq.Result result = Gptq.quantize(w, 24, factor, new Gptq.Settings(grid, actOrder), OPS);
      assertSame(Rtn.quantize(w, 24, 320, grid, OPS), result.matrix());
      assertArrayEquals(w, result.latents());
    }
  }

  /** Independent inputs leave little to correct, correlated ones much. */
  @Test
  void squaredError_againstRtn_independentAndCorrelated() {
    double[] independent = new double[6];
    double[] correlated = new double[6];
    for (int seed = 0; seed < 6; seed++) {
      independent[seed] = gain(Matrices.gaussian(1024, 256, 1, 100 + seed), seed);
      correlated[seed] = gain(Matrices.autoregressive(1024, 256, 0.9, 200 + seed), seed);
    }
    double meanIndependent = Arrays.stream(independent).average().orElseThrow();
    double meanCorrelated = Arrays.stream(correlated).average().orElseThrow();
    System.out.printf(
        "squared output error RTN / GPTQ: %.3f %.3f%n", meanIndependent, meanCorrelated);
    assertTrue(meanIndependent > 1.03 && meanIndependent < 1.25, "i.i.d. " + meanIndependent);
    assertTrue(meanCorrelated > 3.5 && meanCorrelated < 8, "AR(0.9) " + meanCorrelated);
  }

  private static double gain(float[] x, int seed) {
    int rows = 64;
    int cols = 256;
    float[] w = Matrices.gaussian(rows, cols, 0.05, seed);
    InverseFactor factor = InverseFactor.of(hessian(x, cols), false, 0.01, OPS);
    float[] gptq =
        Gptq.quantize(w, rows, factor, settings(false, false, 128), OPS).matrix().dequantize();
    float[] rtn = Rtn.quantize(w, rows, cols, new Grid(false, false), OPS).dequantize();
    return Matrices.outputError(rtn, w, rows, cols, x)
        / Matrices.outputError(gptq, w, rows, cols, x);
  }

  /** Outlier channels, clip and act-order only widen the gap. */
  @Test
  void squaredError_withOutliers() {
    int rows = 64;
    int cols = 256;
    float[] x = Matrices.autoregressive(512, cols, 0.9, 9);
    for (int i = 0; i < x.length; i++) {
      x[i] *= i % cols % 50 == 7 ? 8 : 1;
    }
    float[] w = Matrices.gaussian(rows, cols, 0.05, 10);
    InverseFactor factor = InverseFactor.of(hessian(x, cols), true, 0.01, OPS);
    float[] gptq =
        Gptq.quantize(w, rows, factor, settings(true, true, 128), OPS).matrix().dequantize();
    float[] rtn = Rtn.quantize(w, rows, cols, new Grid(false, false), OPS).dequantize();
    double gain =
        Matrices.outputError(rtn, w, rows, cols, x) / Matrices.outputError(gptq, w, rows, cols, x);
    System.out.printf("with outliers, clip and act-order: %.3f%n", gain);
    assertTrue(gain > 5, "gain " + gain);
  }

  @ParameterizedTest
  @CsvSource({"false,false", "true,false", "true,true"})
  void blockSize_changesNoBit(boolean staticGroups, boolean actOrder) {
    float[] w = Matrices.gaussian(33, 288, 0.04, 4);
    Hessian h = hessian(Matrices.autoregressive(400, 288, 0.9, 5), 288);
    InverseFactor factor = InverseFactor.of(h, actOrder, 0.01, OPS);
    Gptq.Result wide = Gptq.quantize(w, 33, factor, settings(staticGroups, true, 128), OPS);
    for (int block : new int[] {32, 1, 64}) {
      Gptq.Result narrow = Gptq.quantize(w, 33, factor, settings(staticGroups, true, block), OPS);
      assertSame(wide.matrix(), narrow.matrix());
      assertArrayEquals(wide.latents(), narrow.latents());
    }
  }

  @Test
  void threads_changeNoBit() {
    float[] w = Matrices.gaussian(70, 256, 0.04, 4);
    float[] x = Matrices.autoregressive(300, 256, 0.9, 5);
    InverseFactor one = InverseFactor.of(hessian(x, 256), true, 0.01, OPS);
    try (Ops three = new VectorOps(3)) {
      Hessian h = new Hessian(256);
      h.add(x, 300, 4, three);
      InverseFactor many = InverseFactor.of(h, true, 0.01, three);
      assertTrue(Arrays.deepEquals(one.u(), many.u()));
      assertSame(
          Gptq.quantize(w, 70, one, settings(true, true, 128), OPS).matrix(),
          Gptq.quantize(w, 70, many, settings(true, true, 128), three).matrix());
    }
  }

  @ParameterizedTest
  @CsvSource({"false,false", "true,false", "true,true"})
  void latents_roundToTheCodes_bitForBit(boolean staticGroups, boolean actOrder) {
    int cols = 288;
    float[] w = Matrices.gaussian(40, cols, 0.04, 6);
    Hessian h = hessian(Matrices.autoregressive(400, cols, 0.9, 7), cols);
    InverseFactor factor = InverseFactor.of(h, actOrder, 0.01, OPS);
    Gptq.Result result = Gptq.quantize(w, 40, factor, settings(staticGroups, true, 128), OPS);
    QuantizedMatrix m = result.matrix();
    int moved = 0;
    for (int row = 0; row < 40; row++) {
      for (int j = 0; j < cols; j++) {
        int g = row * m.groups() + j / 128;
        float latent = result.latents()[row * cols + j];
        double code = Math.rint(latent / m.scales()[g]) + m.zeros()[g];
        assertEquals((int) Math.clamp(code, 0, 7), m.codes()[row * cols + j]);
        moved += latent != w[row * cols + j] ? 1 : 0;
      }
    }
    assertTrue(moved > 40 * cols / 2, "the latents are not the weights: " + moved);
  }

  /** The pitfall: scales computed anew from the latents lose what GPTQ gained. */
  @Test
  void latents_onRecomputedScales_areWorse() {
    int cols = 256;
    float[] x = Matrices.autoregressive(512, cols, 0.9, 8);
    float[] w = Matrices.gaussian(64, cols, 0.05, 9);
    InverseFactor factor = InverseFactor.of(hessian(x, cols), true, 0.01, OPS);
    Gptq.Result result = Gptq.quantize(w, 64, factor, settings(true, true, 128), OPS);
    float[] again =
        Rtn.quantize(result.latents(), 64, cols, new Grid(false, false), OPS).dequantize();
    assertTrue(
        Matrices.outputError(again, w, 64, cols, x)
            > 2 * Matrices.outputError(result.matrix().dequantize(), w, 64, cols, x));
  }

  @Test
  void deadColumns_becomeZero() {
    int cols = 160;
    float[] x = Matrices.gaussian(200, cols, 1, 11);
    for (int t = 0; t < 200; t++) {
      x[t * cols + 3] = 0;
      x[t * cols + 140] = 0;
    }
    InverseFactor factor = InverseFactor.of(hessian(x, cols), true, 0.01, OPS);
    assertEquals(2, factor.numDead());
    assertTrue(factor.dead(3) && factor.dead(140));
    float[] w = Matrices.gaussian(20, cols, 0.05, 12);
    Gptq.Result result = Gptq.quantize(w, 20, factor, settings(true, true, 128), OPS);
    float[] back = result.matrix().dequantize();
    for (int row = 0; row < 20; row++) {
      assertEquals(0f, back[row * cols + 3]);
      assertEquals(0f, back[row * cols + 140]);
      assertEquals(0f, result.latents()[row * cols + 3]);
    }
  }

  @Test
  void singularHessian_raisesTheDamping() {
    int cols = 96;
    float[] x = Matrices.gaussian(10, cols, 1, 13); // rank 10
    InverseFactor factor = InverseFactor.of(hessian(x, cols), true, 0, OPS);
    assertTrue(factor.damping() >= 0.01, "damping " + factor.damping());
    for (float[] row : factor.u()) {
      for (float u : row) {
        assertTrue(Float.isFinite(u));
      }
    }
    assertEquals(0.01, InverseFactor.of(hessian(x, cols), true, 0.01, OPS).damping());
  }

  @Test
  void refuses_notFinite_andActOrderWithDynamicGroups() {
    float[] x = Matrices.gaussian(300, 128, 1, 14);
    InverseFactor factor = InverseFactor.of(hessian(x, 128), true, 0.01, OPS);
    float[] w = Matrices.gaussian(2, 128, 1, 15);
    assertThrows(
        IllegalArgumentException.class,
        () -> Gptq.quantize(w, 2, factor, settings(false, true, 128), OPS));
    w[130] = Float.NaN;
    assertThrows(
        IllegalArgumentException.class,
        () -> Gptq.quantize(w, 2, factor, settings(true, true, 128), OPS));
    x[17] = Float.POSITIVE_INFINITY;
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> InverseFactor.of(hessian(x, 128), true, 0.01, OPS));
    assertTrue(String.valueOf(e.getMessage()).contains("not finite"), e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> settings(true, true, 48));
  }
}

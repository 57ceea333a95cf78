package io.tercel.trainer.torch;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tercel.trainer.quant.Chunks;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ForkJoinPool;
import org.junit.jupiter.api.Test;

final class AdamWTest {
  @Test
  void step_agreesWithTheFormulaInDouble() {
    try (Arena arena = Arena.ofShared()) {
      Parameter matrix = new Parameter("w", arena, 1, 3);
      Parameter norm = new Parameter("n", arena, 3);
      AdamW optimizer = AdamW.of(List.of(matrix, norm), 0.1);
      double[] w = {1, -2, 0.5};
      double[] n = w.clone();
      matrix.set(new float[] {1, -2, 0.5f});
      norm.set(new float[] {1, -2, 0.5f});
      double[] m = new double[3];
      double[] v = new double[3];
      for (int t = 1; t <= 5; t++) {
        double rate = 0.01 * t;
        for (int i = 0; i < 3; i++) {
          double g = (i - 1) * 0.3 + 0.1 * t;
          set(matrix, i, (float) g);
          set(norm, i, (float) g);
          m[i] = 0.9 * m[i] + 0.1 * g;
          v[i] = 0.95 * v[i] + 0.05 * g * g;
          double step =
              rate
                  * (m[i] / (1 - Math.pow(0.9, t)))
                  / (Math.sqrt(v[i] / (1 - Math.pow(0.95, t))) + 1e-8);
          w[i] = w[i] * (1 - rate * 0.1) - step;
          n[i] -= step;
        }
        optimizer.step(rate, Double.POSITIVE_INFINITY);
      }
      for (int i = 0; i < 3; i++) {
        assertEquals(w[i], matrix.get(i), 1e-5);
        assertEquals(n[i], norm.get(i), 1e-5);
      }
      assertArrayEquals(new float[3], matrix.gradient().toArray(JAVA_FLOAT));
    }
  }

  @Test
  void step_longGradient_isClippedToTheNorm() {
    try (Arena arena = Arena.ofShared()) {
      Parameter p = new Parameter("p", arena, 2);
      AdamW optimizer = AdamW.of(List.of(p), 0);
      set(p, 0, 30);
      set(p, 1, -40);
      assertEquals(50, optimizer.step(0.1, 1), 1e-6);
      assertEquals(0.1 * 0.6, optimizer.first(0).getAtIndex(JAVA_FLOAT, 0), 1e-6);
      assertEquals(0.1 * -0.8, optimizer.first(0).getAtIndex(JAVA_FLOAT, 1), 1e-6);
    }
  }

  @Test
  void step_gradientIsNoNumber_isRefused() {
    try (Arena arena = Arena.ofShared()) {
      Parameter p = new Parameter("p", arena, 2);
      set(p, 1, Float.NaN);
      AdamW optimizer = AdamW.of(List.of(p), 0);
      assertThrows(ArithmeticException.class, () -> optimizer.step(0.1, 1));
    }
  }

  /** At the rates of reinforcement learning; in plain floats neither of the two would move. */
  @Test
  void step_tinyUpdatesOfLargeValues_addUp() {
    try (Arena arena = Arena.ofShared()) {
      Parameter norm = new Parameter("n", arena, 3);
      Parameter matrix = new Parameter("w", arena, 1, 3);
      float[] start = {17, -300, 0.5f};
      norm.set(start);
      matrix.set(start);
      AdamW optimizer = AdamW.of(List.of(norm, matrix), 0.1);
      for (int t = 0; t < 20_000; t++) {
        for (int i = 0; i < 3; i++) {
          set(norm, i, 0.25f);
        }
        optimizer.step(5e-7, Double.POSITIVE_INFINITY); // the matrix decays alone
      }
      for (int i = 0; i < 3; i++) {
        assertEquals(start[i] - 20_000 * 5e-7, norm.get(i), Math.ulp(start[i]));
        assertEquals(start[i] * Math.pow(1 - 5e-8, 20_000), matrix.get(i), Math.ulp(start[i]));
      }
    }
  }

  @Test
  void step_sameBitsByAnyNumberOfThreads() throws Exception {
    float[] one;
    float[] four;
    try (ForkJoinPool alone = new ForkJoinPool(1);
        ForkJoinPool pool = new ForkJoinPool(4)) {
      one = alone.submit(AdamWTest::threeSteps).get();
      four = pool.submit(AdamWTest::threeSteps).get();
    }
    assertArrayEquals(one, four);
  }

  private static float[] threeSteps() {
    try (Arena arena = Arena.ofShared()) {
      int size = 5 * Chunks.SIZE + 77;
      Parameter p = new Parameter("p", arena, size);
      AdamW optimizer = AdamW.of(List.of(p), 0.1);
      Random random = new Random(4);
      for (int t = 0; t < 3; t++) {
        for (int i = 0; i < size; i++) {
          set(p, i, (float) random.nextGaussian());
        }
        optimizer.step(0.01, 1);
      }
      assertNotEquals(0, p.get(size - 1));
      return p.toFloats();
    }
  }

  private static void set(Parameter parameter, int i, float gradient) {
    parameter.gradient().setAtIndex(JAVA_FLOAT, i, gradient);
  }
}

package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.W4Weights;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/** 4-bit linears on matrix units give the bits of the plain kernel. */
class MmaSimulatorTest {
  private static final FloatArray POWERS = Powers.table();

  /** Room for tokens; what lies behind those of the pass is whatever it is. */
  private static final int STRIDE = 64;

  /** Odd and even tiles, columns of a part of a block, and of several shares. */
  @ParameterizedTest
  @CsvSource({"35, 200, 17, 0", "64, 1100, 33, 1", "16, 128, 64, 1", "150, 1024, 16, 0"})
  void products_finished_equalThePlainKernels(int rows, int cols, int n, int add) {
    Random random = new Random(rows);
    try (Arena arena = Arena.ofConfined()) {
      float[] bias = new float[rows];
      for (int i = 0; i < rows; i++) {
        bias[i] = (float) random.nextGaussian();
      }
      InputTransform none = InputTransform.NONE;
      Linear layer = new Linear(W4Weights.random(arena, rows, cols, random), bias, none);
      WeightImage image = new WeightImage("w");
      MatrixStack stack = image.stack(List.of(layer));
      image.allocate();
      LongArray w = image.longs();
      FloatArray p = image.floats();
      int at = stack.at() / 2;
      int outputs = stack.rows();
      int words = RowIntKernels.words(cols);
      LinearTasks.Rounded rounded = LinearTasks.Rounded.of(STRIDE, cols);
      IntArray q = rounded.codes();
      FloatArray s = rounded.scales();
      for (int token = 0; token < STRIDE; token++) {
        int row = token * RowIntKernels.rowInts(cols);
        int sum = 0;
        for (int k = 0; k < cols; k++) {
          int word = row + RowIntKernels.word(k, words);
          int code = token == 3 ? 15 : random.nextInt(16);
          sum += code;
          q.set(word, q.get(word) | code << 8 * (k & 3));
        }
        q.set(row + 2 * words, 16 * sum + random.nextInt(16));
        s.set(token, token == 5 ? Float.NaN : random.nextFloat());
      }
      IntArray step = new IntArray(StepLayout.HEADER);
      step.init(0);
      step.set(StepLayout.N, n);
      FloatArray expected = new FloatArray(n * outputs);
      FloatArray actual = new FloatArray(n * outputs);
      for (int i = 0; i < n * outputs; i++) {
        expected.set(i, i);
        actual.set(i, i);
      }
      Simulator.run(
          outputs / 16,
          n,
          W4Kernels.LOCAL,
          c ->
              W4Kernels.one(
                  c,
                  step,
                  POWERS,
                  w,
                  p,
                  q,
                  s,
                  expected,
                  at,
                  cols,
                  0,
                  outputs,
                  stack.biasAt(),
                  add));
      int tiles = outputs / 16;
      int shares = W4MmaKernels.shares(outputs, cols);
      IntArray sums = new IntArray(W4MmaKernels.sums(outputs, cols, STRIDE));
      sums.init(-1);
      Simulator.run(
          shares * W4MmaKernels.pairs(outputs),
          Math.ceilDiv(n, W4MmaKernels.TOKENS),
          W4MmaKernels.WARP,
          c -> W4MmaKernels.products(c, w, q, sums, at, cols, tiles, shares, STRIDE));
      Simulator.run(
          Math.ceilDiv(outputs, W4MmaKernels.LOCAL),
          Math.ceilDiv(n, W4MmaKernels.FINISHED),
          W4MmaKernels.LOCAL,
          c ->
              W4MmaKernels.finish(
                  c,
                  step,
                  POWERS,
                  w,
                  p,
                  q,
                  s,
                  sums,
                  actual,
                  at,
                  cols,
                  tiles,
                  shares,
                  STRIDE,
                  0,
                  outputs,
                  stack.biasAt(),
                  add));
      for (int i = 0; i < n * outputs; i++) {
        assertEquals(expected.get(i), actual.get(i), "element " + i);
        assertEquals(i / outputs == 5, Float.isNaN(expected.get(i)), "element " + i);
      }
    }
  }

  @Test
  void shares_fillADevice_andAreNotTooSmall() {
    assertEquals(1, W4MmaKernels.shares(19456 * 2, 2560));
    assertEquals(13, W4MmaKernels.shares(2560, 4096));
    assertEquals(1, W4MmaKernels.shares(16, 128));
    assertTrue(W4MmaKernels.shares(1024, 1024) >= 4);
  }

  /** A unit's sums are the matrix product, whatever the layout of its operands. */
  @Test
  void unit_multiplies() {
    Random random = new Random(1);
    byte[][] a = new byte[16][32];
    byte[][] b = new byte[32][8];
    int[] tileA = new int[128];
    int[] tileB = new int[64];
    for (int row = 0; row < 16; row++) {
      random.nextBytes(a[row]);
      for (int k = 0; k < 32; k++) {
        tileA[row * 8 + k / 4] |= (a[row][k] & 255) << 8 * (k % 4);
      }
    }
    for (int k = 0; k < 32; k++) {
      random.nextBytes(b[k]);
      for (int n = 0; n < 8; n++) {
        int at = k / 2 * 16 + n * 2 + k % 2;
        tileB[at / 4] |= (b[k][n] & 255) << 8 * (at % 4);
      }
    }
    IntArray out = new IntArray(16 * 8);
    Simulator.run(
        1,
        1,
        32,
        c -> {
          int[] d = c.mmaFragmentInt(7);
          byte[] rows = c.mmaLoadAInt8(tileA, 32);
          byte[] columns = c.mmaLoadBInt8(tileB, 32);
          d = c.mmaInt8(rows, columns, d, MMAShape.M16N8K32);
          c.mmaStoreInt(d, out, 0, 0, 8);
        });
    for (int row = 0; row < 16; row++) {
      for (int n = 0; n < 8; n++) {
        int sum = 7;
        for (int k = 0; k < 32; k++) {
          sum += a[row][k] * b[k][n];
        }
        assertEquals(sum, out.get(row * 8 + n), row + ", " + n);
      }
    }
  }
}

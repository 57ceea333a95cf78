package io.tercel.trainer.ptq.flatquant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.tercel.kernels.ops.KvQuantizer;
import io.tercel.kernels.ops.RowInts;
import io.tercel.trainer.ptq.flatquant.FourBits.Shares;
import io.tercel.trainer.quant.W4Grid;
import io.tercel.trainer.torch.Torch;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Values bit for bit as they are served; gradients by the rules. */
class FourBitsTest {
  private final Random random = new Random(9);

  private float[] gaussian(int count, double deviation) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) (deviation * random.nextGaussian());
    }
    return x;
  }

  private static Shares shares(NDManager manager, float low, float high) {
    return new Shares(manager.create(new float[] {low}), manager.create(new float[] {high}));
  }

  @Test
  void tokens_areTheContractsBits() {
    int cols = 37;
    float[] x = gaussian(6 * cols, 1);
    Arrays.fill(x, cols, 2 * cols, 0); // a token of zeros
    for (int i = 2 * cols; i < 3 * cols; i++) {
      x[i] = Math.abs(x[i]); // nothing below zero
    }
    for (int i = 3 * cols; i < 4 * cols; i++) {
      x[i] *= 1e-34f; // too small
      x[i + cols] *= 1e-28f; // just not
    }
    try (NDManager manager = Torch.newManager()) {
      NDArray rounded =
          new FourBits(manager)
              .tokens(manager.create(x, new Shape(6, cols)), shares(manager, 0.9f, 0.8f));
      float[] actual = rounded.toFloatArray();
      for (int row = 0; row < 6; row++) {
        float[] expected = token(Arrays.copyOfRange(x, row * cols, (row + 1) * cols), 0.9f, 0.8f);
        assertArrayEquals(expected, Arrays.copyOfRange(actual, row * cols, (row + 1) * cols));
      }
    }
  }

  /** As the engine has it. */
  private static float[] token(float[] x, float low, float high) {
    float lo = 0;
    float hi = 0;
    for (float v : x) {
      lo = Math.min(lo, v);
      hi = Math.max(hi, v);
    }
    float scale = RowInts.scale(lo * low, hi * high, true);
    int zero = RowInts.zero(lo * low, scale);
    float[] y = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      y[i] = scale * (RowInts.code(x[i], scale, zero) - zero);
    }
    return y;
  }

  @Test
  void heads_areTheCachesBits() {
    int width = 32;
    float[] x = gaussian(2 * 3 * 5 * width, 2);
    try (NDManager manager = Torch.newManager()) {
      float[] actual =
          new FourBits(manager)
              .heads(manager.create(x, new Shape(2, 3, 5, width)), null)
              .toFloatArray();
      for (int at = 0; at < x.length; at += width) {
        int scaleAndZero = KvQuantizer.scaleAndZero(x, at, width);
        for (int i = at; i < at + width; i++) {
          float expected = KvQuantizer.value(KvQuantizer.code(x[i], scaleAndZero), scaleAndZero);
          assertEquals(expected, actual[i]);
        }
      }
    }
  }

  @Test
  void weights_areTheGridsBits_andTheirGradientsTheRules() {
    int rows = 3;
    int cols = 24;
    float[] w = gaussian(rows * cols, 0.1);
    float[] weights = gaussian(rows * cols, 1);
    float[] low = {0.9f, 0.5f, 0.7f};
    float[] high = {0.6f, 0.95f, 0.7f};
    try (NDManager manager = Torch.newManager()) {
      NDArray x = manager.create(w, new Shape(rows, cols));
      NDArray lows = manager.create(low, new Shape(rows, 1));
      NDArray highs = manager.create(high, new Shape(rows, 1));
      x.setRequiresGradient(true);
      lows.setRequiresGradient(true);
      highs.setRequiresGradient(true);
      float[] actual;
      try (GradientCollector collector = Torch.newGradientCollector()) {
        NDArray rounded = new FourBits(manager).weights(x, new Shares(lows, highs));
        actual = rounded.toFloatArray();
        collector.backward(rounded.mul(manager.create(weights, new Shape(rows, cols))).sum());
      }
      float[] gradient = x.getGradient().toFloatArray();
      float[] lowGradient = lows.getGradient().toFloatArray();
      float[] highGradient = highs.getGradient().toFloatArray();
      for (int row = 0; row < rows; row++) {
        int most = row * cols;
        int least = row * cols;
        for (int i = row * cols; i < (row + 1) * cols; i++) {
          most = w[i] > w[most] ? i : most;
          least = w[i] < w[least] ? i : least;
        }
        boolean fromHigh = w[most] * high[row] > -w[least] * low[row];
        float magnitude = Math.max(w[most] * high[row], -w[least] * low[row]);
        float scale = W4Grid.scale(magnitude);
        double scaleGradient = 0;
        double[] expected = new double[cols];
        for (int i = row * cols; i < (row + 1) * cols; i++) {
          int code = W4Grid.code(w[i], scale);
          assertEquals(scale * code, actual[i]);
          boolean inside = Math.rint(w[i] / scale) == code;
          expected[i - row * cols] = inside ? weights[i] : 0;
          scaleGradient += weights[i] * (inside ? code - w[i] / scale : code);
        }
        // s = share * extreme / 7
        expected[(fromHigh ? most : least) - row * cols] +=
            scaleGradient * (fromHigh ? high[row] : -low[row]) / 7;
        for (int j = 0; j < cols; j++) {
          assertEquals(expected[j], gradient[row * cols + j], 1e-5);
        }
        double ofShare = scaleGradient * (fromHigh ? w[most] : -w[least]) / 7;
        assertEquals(fromHigh ? ofShare : 0, highGradient[row], 1e-6);
        assertEquals(fromHigh ? 0 : ofShare, lowGradient[row], 1e-6);
      }
    }
  }

  @Test
  void tokens_gradientsAreTheRules() {
    int cols = 24;
    int rows = 4;
    float[] x = gaussian(rows * cols, 1);
    float[] weights = gaussian(rows * cols, 1);
    float low = 0.7f;
    float high = 0.8f;
    try (NDManager manager = Torch.newManager()) {
      NDArray in = manager.create(x, new Shape(rows, cols));
      Shares shares = shares(manager, low, high);
      in.setRequiresGradient(true);
      shares.low().setRequiresGradient(true);
      shares.high().setRequiresGradient(true);
      try (GradientCollector collector = Torch.newGradientCollector()) {
        NDArray rounded = new FourBits(manager).tokens(in, shares);
        collector.backward(rounded.mul(manager.create(weights, new Shape(rows, cols))).sum());
      }
      float[] gradient = in.getGradient().toFloatArray();
      double ofLow = 0;
      double ofHigh = 0;
      for (int row = 0; row < rows; row++) {
        int most = row * cols;
        int least = row * cols;
        for (int i = row * cols; i < (row + 1) * cols; i++) {
          most = x[i] > x[most] ? i : most;
          least = x[i] < x[least] ? i : least;
        }
        float scale = (x[most] * high - x[least] * low) / 15;
        double zero = Math.rint(-(x[least] * low) / scale);
        double ofScale = 0;
        double[] expected = new double[cols];
        for (int i = row * cols; i < (row + 1) * cols; i++) {
          double code = Math.rint(x[i] / scale) + zero;
          boolean inside = code >= 0 && code <= 15;
          expected[i - row * cols] = inside ? weights[i] : 0;
          ofScale +=
              weights[i] * (inside ? code - zero - x[i] / scale : Math.clamp(code, 0, 15) - zero);
        }
        expected[most - row * cols] += ofScale * high / 15;
        expected[least - row * cols] -= ofScale * low / 15;
        ofHigh += ofScale * x[most] / 15;
        ofLow -= ofScale * x[least] / 15;
        for (int j = 0; j < cols; j++) {
          assertEquals(expected[j], gradient[row * cols + j], 1e-5);
        }
      }
      assertEquals(ofLow, shares.low().getGradient().getFloat(), 1e-4);
      assertEquals(ofHigh, shares.high().getGradient().getFloat(), 1e-4);
    }
  }
}

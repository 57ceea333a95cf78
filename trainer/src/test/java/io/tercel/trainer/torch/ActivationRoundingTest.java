package io.tercel.trainer.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.vector.VectorOps;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class ActivationRoundingTest {
  private static final int ROWS = 3;
  private static final int COLS = 200;

  private static float[] inputs() {
    Random random = new Random(3);
    float[] x = new float[ROWS * COLS];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian() * (i % 50 == 0 ? 100 : 1);
    }
    Arrays.fill(x, COLS, COLS + 128, 0f); // a group of zeros
    return x;
  }

  /** To the bit what the engine's codes stand for. */
  @Test
  void values_areTheEnginesOwn() {
    float[] x = inputs();
    try (Arena arena = Arena.ofConfined();
        NDManager manager = Torch.newManager();
        Ops ops = new VectorOps(1)) {
      PackedMatrix weight =
          new PackedMatrix(
              "w", arena.allocate(Grouped.W3G128.bytes(1, COLS)), 1, COLS, Grouped.W3G128, null);
      PreparedInput input = new PreparedInput();
      ops.prepare(Projection.of(new Linear(weight, null)), x, ROWS, input);
      NDArray rounded = ActivationRounding.of(manager.create(x, new Shape(ROWS, COLS)), manager);
      float[] actual = rounded.toFloatArray();
      for (int t = 0; t < ROWS; t++) {
        for (int c = 0; c < COLS; c++) {
          assertEquals(input.scale(t, c / 128) * input.code(t, c), actual[t * COLS + c]);
        }
      }
    }
  }

  @Test
  void gradient_passesStraightThrough() {
    try (NDManager manager = Torch.newManager();
        GradientCollector collector = Torch.newGradientCollector()) {
      NDArray x = manager.create(inputs(), new Shape(ROWS, COLS));
      x.setRequiresGradient(true);
      float[] weights = new float[ROWS * COLS];
      for (int i = 0; i < weights.length; i++) {
        weights[i] = i;
      }
      NDArray factors = manager.create(weights, new Shape(ROWS, COLS));
      collector.backward(ActivationRounding.of(x, manager).mul(factors).sum());
      assertArrayEquals(weights, x.getGradient().toFloatArray());
    }
  }
}

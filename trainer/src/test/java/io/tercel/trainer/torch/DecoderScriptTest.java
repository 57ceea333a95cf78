package io.tercel.trainer.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.KvQuantizer;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.vector.VectorOps;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the script rounds, against the engine's own rounding, to the bit. */
final class DecoderScriptTest {
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

  @Test
  void int16Groups_areTheEnginesOwn() {
    float[] x = inputs();
    try (Arena arena = Arena.ofConfined();
        NDManager manager = Torch.newManager();
        TorchScript script = DecoderPass.script(manager);
        Ops ops = new VectorOps(1)) {
      PackedMatrix weight =
          new PackedMatrix(
              "w", arena.allocate(Grouped.W3G128.bytes(1, COLS)), 1, COLS, Grouped.W3G128, null);
      PreparedInput input = new PreparedInput();
      ops.prepare(Projection.of(new Linear(weight, null)), x, ROWS, input);
      NDArray given = manager.create(x, new Shape(ROWS, COLS));
      float[] actual = script.call("int16_groups", given).toFloatArray();
      for (int t = 0; t < ROWS; t++) {
        for (int c = 0; c < COLS; c++) {
          assertEquals(input.scale(t, c / 128) * input.code(t, c), actual[t * COLS + c]);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void int4_isTheCachesOwn(boolean clipped) {
    float[] x = inputs();
    float[] clip = clipped ? new float[] {0.7f, 0.9f} : new float[] {1, 1};
    try (NDManager manager = Torch.newManager();
        TorchScript script = DecoderPass.script(manager)) {
      NDArray shares =
          clipped ? manager.create(clip) : manager.create(new Shape(0), DataType.FLOAT32);
      NDArray given = manager.create(x, new Shape(ROWS * 4, COLS / 4));
      float[] actual = script.call("cached", given, manager.create(4L), shares).toFloatArray();
      byte[] codes = new byte[COLS / 4];
      for (int row = 0; row < ROWS * 4; row++) {
        int at = row * COLS / 4;
        int packed = KvQuantizer.scaleAndZero(x, at, codes.length, clip);
        float scale = Float.float16ToFloat((short) packed);
        int zero = packed >>> 16;
        for (int d = 0; d < codes.length; d++) {
          double code = scale == 0 ? zero : Math.rint(x[at + d] / scale) + zero;
          float expected = (float) (scale * (Math.clamp(code, 0, 15) - zero));
          assertEquals(expected, actual[at + d], 0, "row " + row + " at " + d);
        }
      }
    }
  }

  @Test
  void straight_gradientPassesThrough() {
    try (NDManager manager = Torch.newManager();
        TorchScript script = DecoderPass.script(manager);
        GradientCollector collector = Torch.newGradientCollector()) {
      NDArray x = manager.create(inputs(), new Shape(ROWS, COLS));
      x.setRequiresGradient(true);
      float[] weights = new float[ROWS * COLS];
      for (int i = 0; i < weights.length; i++) {
        weights[i] = i;
      }
      NDArray factors = manager.create(weights, new Shape(ROWS, COLS));
      collector.backward(script.call("int16_groups", x).mul(factors).sum());
      assertArrayEquals(weights, x.getGradient().toFloatArray());
    }
  }
}

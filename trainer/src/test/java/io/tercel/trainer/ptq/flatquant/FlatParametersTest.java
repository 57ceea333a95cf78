package io.tercel.trainer.ptq.flatquant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.trainer.ptq.transform.FlatTransforms;
import io.tercel.trainer.torch.Parameter;
import io.tercel.trainer.torch.Torch;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Without rounding, coordinates change nothing: neither the output nor, to first order, a loss. */
class FlatParametersTest {
  private static final int TOKENS = 12;

  @TempDir private Path temp;

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void unrounded_outputIsTheLayers_andNoTransformHasAGradient(boolean qwen3) {
    TinyCheckpoint tiny = qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2();
    Random random = new Random(1);
    try (Checkpoint source = Checkpoint.open(tiny.write(temp.resolve("tiny")));
        NDManager manager = Torch.newManager();
        NDScope scope = new NDScope();
        Arena arena = Arena.ofShared()) {
      scope.suppressNotUsedWarning();
      ModelConfig config = source.config();
      LayerPieces plain = LayerStream.plain(source.layers().getFirst(), manager);
      FlatParameters parameters =
          new FlatParameters(config, plain, FlatTransforms.random(config, 3), manager, arena);
      for (Parameter p : parameters.transforms()) {
        for (int i = 0; i < p.size(); i++) {
          p.set(i, p.get(i) + (float) (0.02 * random.nextGaussian())); // no longer orthogonal
        }
      }
      float[] states = new float[2 * TOKENS * config.hiddenSize()];
      float[] weights = new float[states.length];
      for (int i = 0; i < states.length; i++) {
        states[i] = (float) random.nextGaussian();
        weights[i] = (float) random.nextGaussian();
      }
      Shape shape = new Shape(2L * TOKENS, config.hiddenSize());
      LayerPass pass = new LayerPass(config, manager, 2, TOKENS);
      NDArray x = manager.create(states, shape);
      float[] expected = pass.forward(x, plain).toFloatArray();
      Map<String, NDArray> leaves = parameters.leaves(manager);
      try (GradientCollector collector = Torch.newGradientCollector()) {
        NDArray y = pass.forward(x, parameters.pieces(leaves, null));
        assertArrayEquals(expected, y.toFloatArray(), 2e-4f);
        collector.backward(y.mul(manager.create(weights, shape)).sum());
      }
      parameters.accumulate(leaves);
      for (Parameter p : parameters.transforms()) {
        float largest = 0;
        for (float g : p.gradient().toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT)) {
          largest = Math.max(largest, Math.abs(g));
        }
        assertTrue(largest < 2e-2, p.name() + " has a gradient of " + largest);
      }
    }
  }
}

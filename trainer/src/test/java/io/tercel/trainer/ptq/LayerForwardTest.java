package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.testing.DoubleReference;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Layer by layer is the whole model: what is observed is what the model computes. */
class LayerForwardTest {
  @TempDir private Path temp;

  private static Linear dense(LinearSource source) {
    LinearSource.Plain plain = (LinearSource.Plain) source;
    Tensor bias = plain.bias();
    return new Linear(
        new PackedMatrix(
            plain.name(), plain.weight().data(), plain.rows(), plain.cols(), plain.format(), null),
        bias == null ? null : bias.toFloats());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void logits_areTheReferences(boolean qwen3) {
    Path model = (qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2()).write(temp.resolve("m"));
    Random random = new Random(4);
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      sequences.add(random.ints(30 + random.nextInt(20), 0, 256).toArray());
    }
    Calibration calibration = new Calibration(sequences);
    assertTrue(calibration.numTokens() > 2048, "more than one batch");
    int[] shown = new int[4];
    try (Checkpoint source = Checkpoint.open(model);
        Ops ops = new VectorOps(1);
        LayerForward forward =
            new LayerForward(
                source.config(), ops, dense(source.embedding()).weight(), calibration)) {
      for (LayerSource layer : source.layers()) {
        walk(layer, forward, shown);
      }
      for (int pass : shown) {
        assertEquals(source.layers().size() * calibration.numTokens(), pass);
      }
      DoubleReference reference = DoubleReference.open(model);
      for (int s : new int[] {0, 1, 59}) {
        double[][] expected = reference.logits(sequences.get(s));
        assertLogits(expected, forward.hidden(s), source);
      }
    }
  }

  private static void walk(LayerSource layer, LayerForward forward, int[] shown) {
    forward.enter(layer);
    forward.attentionInputs((x, tokens, _) -> shown[0] += tokens);
    for (Matrix m : List.of(Matrix.Q, Matrix.K, Matrix.V)) {
      forward.put(m, dense(layer.matrix(m)));
    }
    forward.outputInputs((x, tokens, _) -> shown[1] += tokens);
    forward.put(Matrix.O, dense(layer.o()));
    forward.mlpInputs((x, tokens, _) -> shown[2] += tokens);
    forward.put(Matrix.GATE, dense(layer.gate()));
    forward.put(Matrix.UP, dense(layer.up()));
    forward.downInputs((x, tokens, _) -> shown[3] += tokens);
    forward.put(Matrix.DOWN, dense(layer.down()));
    forward.leave();
  }

  private static void assertLogits(double[][] expected, float[] hidden, Checkpoint source) {
    ModelConfig config = source.config();
    int width = config.hiddenSize();
    float[] norm = source.finalNorm().toFloats();
    LinearSource.Plain own = source.head();
    float[] head = (own == null ? source.embedding() : own).weight().toFloats();
    assertEquals(expected.length * width, hidden.length);
    for (int t = 0; t < expected.length; t++) {
      double squares = 0;
      for (int j = 0; j < width; j++) {
        squares += (double) hidden[t * width + j] * hidden[t * width + j];
      }
      double scale = 1 / Math.sqrt(squares / width + config.rmsNormEps());
      for (int id = 0; id < config.vocabSize(); id++) {
        double logit = 0;
        for (int j = 0; j < width; j++) {
          logit += hidden[t * width + j] * scale * norm[j] * head[id * width + j];
        }
        assertEquals(expected[t][id], logit, 1e-3);
      }
    }
  }
}

package io.tercel.trainer.qat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.trainer.qat.RowLoss.RowGradient;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.quant.FakeQuant;
import io.tercel.trainer.torch.Parameter;
import io.tercel.trainer.torch.Torch;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Losses against differences in double precision, and gradients however a step is cut. */
final class RowLossTest {
  private static final int VOCAB = 7;

  @TempDir Path directory;

  private static double[] softmax(double[] x, int from) {
    double sum = 0;
    double[] p = new double[VOCAB];
    for (int v = 0; v < VOCAB; v++) {
      sum += p[v] = Math.exp(x[from + v]);
    }
    for (int v = 0; v < VOCAB; v++) {
      p[v] /= sum;
    }
    return p;
  }

  private static void check(RowLoss loss, TokenBatch batch, ToDoubleFunction<double[]> exact) {
    Random random = new Random(5);
    int rows = batch.rows().length;
    float[] logits = new float[rows * VOCAB];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = 2 * (float) random.nextGaussian();
    }
    double[] doubles = new double[logits.length];
    Arrays.setAll(doubles, i -> logits[i]);
    try (NDManager manager = Torch.newManager()) {
      double sum = 0;
      float[] gradient = new float[logits.length];
      for (int first = 0; first < rows; first += 2) { // in chunks of two rows
        int count = Math.min(2, rows - first);
        float[] some = Arrays.copyOfRange(logits, first * VOCAB, (first + count) * VOCAB);
        NDArray chunk = manager.create(some, new Shape(count, VOCAB));
        RowGradient of = loss.at(chunk, first, batch);
        sum += of.loss();
        float[] part = of.logits().toFloatArray();
        System.arraycopy(part, 0, gradient, first * VOCAB, part.length);
      }
      assertEquals(exact.applyAsDouble(doubles), sum, 1e-6);
      for (int i = 0; i < gradient.length; i++) {
        double kept = doubles[i];
        doubles[i] = kept + 1e-4;
        double above = exact.applyAsDouble(doubles);
        doubles[i] = kept - 1e-4;
        double below = exact.applyAsDouble(doubles);
        doubles[i] = kept;
        assertEquals((above - below) / 2e-4, gradient[i], 1e-6, "logit " + i);
      }
    }
  }

  private static TokenBatch batch() {
    return TokenBatch.of(
        List.of(
            new Example(new int[] {1, 2, 3, 0}, new float[] {0, 1, 0.5f, 1}),
            new Example(new int[] {4, 6, 5}, new float[] {9, 0, 2})));
  }

  @Test
  void crossEntropy_agreesWithDifferences() {
    TokenBatch batch = batch();
    check(
        RowLoss.crossEntropy(3),
        batch,
        logits -> {
          double loss = 0;
          for (int i = 0; i < batch.rows().length; i++) {
            double p = softmax(logits, i * VOCAB)[batch.targets()[i]];
            loss -= batch.weights()[i] * Math.log(p) / 3;
          }
          return loss;
        });
  }

  @Test
  void divergence_agreesWithDifferences() {
    TokenBatch batch = batch();
    Random random = new Random(9);
    float[] teacher = new float[batch.rows().length * VOCAB];
    for (int i = 0; i < teacher.length; i++) {
      teacher[i] = (float) random.nextGaussian();
    }
    double[] ofTeacher = new double[teacher.length];
    Arrays.setAll(ofTeacher, i -> teacher[i]);
    check(
        RowLoss.divergence(
            (manager, first, count) ->
                manager.create(
                    Arrays.copyOfRange(teacher, first * VOCAB, (first + count) * VOCAB),
                    new Shape(count, VOCAB)),
            4),
        batch,
        logits -> {
          double loss = 0;
          for (int i = 0; i < batch.rows().length; i++) {
            double[] t = softmax(ofTeacher, i * VOCAB);
            double[] s = softmax(logits, i * VOCAB);
            for (int v = 0; v < VOCAB; v++) {
              loss += batch.weights()[i] * t[v] * Math.log(t[v] / s[v]) / 4;
            }
          }
          return loss;
        });
  }

  /** Teacher [2, 1, 0], student [1, 1, 1]. */
  @Test
  void divergence_goldenValues() {
    TokenBatch batch = TokenBatch.of(List.of(new Example(new int[] {0, 1}, new float[] {0, 1})));
    RowLoss loss =
        RowLoss.divergence(
            (manager, first, count) -> manager.create(new float[] {2, 1, 0}, new Shape(1, 3)), 1);
    try (NDManager manager = Torch.newManager()) {
      RowGradient of = loss.at(manager.create(new float[] {1, 1, 1}, new Shape(1, 3)), 0, batch);
      assertEquals(0.266217, of.loss(), 1e-6);
      assertArrayEquals(
          new float[] {-.331908f, .088605f, .243303f}, of.logits().toFloatArray(), 1e-6f);
    }
  }

  private static List<Example> examples() {
    Random random = new Random(7);
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      int[] tokens = new int[3 + random.nextInt(9)];
      float[] weights = new float[tokens.length];
      for (int t = 0; t < tokens.length; t++) {
        tokens[t] = random.nextInt(40);
        weights[t] = t % 3 == 0 ? 0 : 1;
      }
      examples.add(new Example(tokens, weights));
    }
    return examples;
  }

  private QatModel student() {
    QatModel model =
        QatModel.load(
            TinyCheckpoint.qwen3().vocab(40).dtype("F32").write(directory.resolve("tiny")));
    for (Parameter linear : model.linears()) {
      int rows = Math.toIntExact(linear.shape().getFirst());
      int cols = Math.toIntExact(linear.shape().getLast());
      linear.quantize(FakeQuant.ofRange(linear.toFloats(), rows, cols));
    }
    return model.cacheBits(16);
  }

  private static double[] gradients(QatModel model, List<List<Example>> parts) {
    double total = parts.stream().flatMap(List::stream).mapToDouble(Example::totalWeight).sum();
    double loss = 0;
    for (List<Example> part : parts) {
      loss += model.backward(TokenBatch.of(part), RowLoss.crossEntropy(total));
    }
    List<Double> all = new ArrayList<>(List.of(loss));
    for (Parameter parameter : model.parameters()) {
      for (float g : parameter.gradient().toArray(ValueLayout.JAVA_FLOAT)) {
        all.add((double) g);
      }
      parameter.clearGradient();
    }
    return all.stream().mapToDouble(Double::doubleValue).toArray();
  }

  /**
   * Eight micro-batches of one sequence, or one of eight: the sums' order alone differs. Where
   * activations are rounded, a last bit may put one on the other side of a tie.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void backward_inParts_addsUpToTheWhole(boolean rounded) {
    List<Example> examples = examples();
    double bound = rounded ? 1e-4 : 2e-6;
    try (QatModel model = student()) {
      if (!rounded) {
        model.cacheBits(32).linears().forEach(linear -> linear.quantize(null));
      }
      double[] whole = gradients(model, List.of(examples));
      double[] parts = gradients(model, examples.stream().map(List::of).toList());
      double largest = Arrays.stream(whole).skip(1).map(Math::abs).max().orElseThrow();
      assertEquals(whole[0], parts[0], bound * whole[0]);
      for (int i = 1; i < whole.length; i++) {
        assertEquals(whole[i], parts[i], bound * largest);
      }
      assertArrayEquals(whole, gradients(model, List.of(examples)), "not the same bits again");
    }
  }

  /** Activations that are computed again are the same, and so are the gradients. */
  @Test
  void backward_layerByLayer_isTheSame() {
    List<Example> examples = examples();
    try (QatModel model = student()) {
      double[] atOnce = gradients(model, List.of(examples));
      model.activationBytes(1);
      assertArrayEquals(atOnce, gradients(model, List.of(examples)));
    }
  }

  @Test
  void backward_ofWhatIsFrozen_leavesNoGradient() {
    List<Example> examples = examples();
    try (QatModel model = student()) {
      double[] before = gradients(model, List.of(examples));
      model.parameters().stream()
          .filter(p -> !p.name().contains("layers.1"))
          .forEach(p -> p.trained(false));
      double[] after = gradients(model, List.of(examples));
      int at = 1;
      for (Parameter parameter : model.parameters()) {
        for (int i = 0; i < parameter.size(); i++, at++) {
          assertEquals(parameter.trained() ? before[at] : 0, after[at], parameter.name());
        }
      }
    }
  }

  /** Of a model in which scales learn and codes stay. */
  @Test
  void learnScales_gradientIsThatOfTheirGrowth() {
    List<Example> examples = examples();
    try (QatModel model = student()) {
      Parameter linear = model.parameter("model.layers.0.mlp.down_proj.weight");
      Parameter growth = linear.learnScales(false);
      TokenBatch batch = TokenBatch.of(examples);
      RowLoss loss = RowLoss.crossEntropy(batch.totalWeight());
      model.backward(batch, loss);
      int largest = 0;
      for (int i = 0; i < growth.size(); i++) {
        largest =
            Math.abs(growth.gradientAt(i)) > Math.abs(growth.gradientAt(largest)) ? i : largest;
      }
      double expected = growth.gradientAt(largest);
      growth.set(largest, 0.05f);
      double above = model.backward(batch, loss);
      growth.set(largest, -0.05f);
      double below = model.backward(batch, loss);
      assertTrue(Math.abs(expected) > 1e-4, "nothing to compare: " + expected);
      assertEquals((above - below) / 0.1, expected, 0.05 * Math.abs(expected));
    }
  }
}

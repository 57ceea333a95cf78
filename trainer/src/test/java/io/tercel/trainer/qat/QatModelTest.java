package io.tercel.trainer.qat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.testing.DoubleReference;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.trainer.ptq.QuantizeCommand;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.quant.FakeQuant;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** The student against the same model in double precision and plain loops. */
final class QatModelTest {
  private static final int VOCAB = 40;
  private static final List<Example> EXAMPLES =
      List.of(example(3, 1, 4, 1, 5, 9, 2, 6), example(5, 3, 5), example(8, 9, 7, 9, 3));

  @TempDir Path directory;

  private static Example example(int... tokens) {
    float[] weights = new float[tokens.length];
    Arrays.fill(weights, 1);
    weights[1] = 0.25f;
    return new Example(tokens, weights);
  }

  private static float[] logits(QatModel model, TokenBatch batch) {
    int vocab = model.config().vocabSize();
    float[] all = new float[batch.rows().length * vocab];
    model.evaluate(
        batch,
        (logits, first) -> {
          float[] some = logits.toFloatArray();
          System.arraycopy(some, 0, all, first * vocab, some.length);
        });
    return all;
  }

  private static float[] gradient(Parameter parameter) {
    return parameter.gradient().toArray(ValueLayout.JAVA_FLOAT);
  }

  /** What follows the i-th of the rows that predict. */
  private static double[] expected(DoubleReference reference, TokenBatch batch, int i) {
    int row = batch.rows()[i];
    int sequence = 0;
    while (row >= batch.lengths()[sequence]) {
      row -= batch.lengths()[sequence++];
    }
    return reference.logits(EXAMPLES.get(sequence).tokens())[row];
  }

  private Path tiny(boolean qwen3) {
    TinyCheckpoint checkpoint = qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2();
    return checkpoint.vocab(VOCAB).dtype("F32").write(directory.resolve("tiny"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void evaluate_paddedBatch_agreesWithDoublePrecision(boolean qwen3) {
    Path tiny = tiny(qwen3);
    try (QatModel model = QatModel.load(tiny)) {
      TokenBatch batch = TokenBatch.of(EXAMPLES);
      float[] logits = logits(model, batch);
      DoubleReference reference = DoubleReference.open(tiny);
      for (int i = 0; i < batch.rows().length; i++) {
        double[] expected = expected(reference, batch, i);
        for (int v = 0; v < VOCAB; v++) {
          assertEquals(expected[v], logits[i * VOCAB + v], 1e-4);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void backward_agreesWithDifferencesInDoublePrecision(boolean qwen3) throws IOException {
    Path tiny = tiny(qwen3);
    try (QatModel model = QatModel.load(tiny)) {
      TokenBatch batch = TokenBatch.of(EXAMPLES);
      double loss = model.backward(batch, RowLoss.crossEntropy(batch.totalWeight()));
      assertEquals(loss(tiny), loss, 1e-5);
      Random random = new Random(1);
      double step = 1e-3;
      for (Parameter parameter : model.parameters()) {
        boolean bias = parameter.name().endsWith("k_proj.bias");
        if (bias || !parameter.name().matches(".*(embed|layers.1|model.norm|lm_head).*")) {
          continue; // a bias of k shifts all scores of a row alike: its gradient is only noise
        }
        int i = random.nextInt(parameter.name().contains("embed") ? 640 : parameter.size());
        float kept = parameter.get(i);
        parameter.set(i, (float) (kept + step));
        double width = parameter.get(i);
        ModelDirectory.write(model, directory.resolve("moved"), DType.F32);
        double above = loss(directory.resolve("moved"));
        parameter.set(i, (float) (kept - step));
        width -= parameter.get(i);
        ModelDirectory.write(model, directory.resolve("moved"), DType.F32);
        double below = loss(directory.resolve("moved"));
        parameter.set(i, kept);
        double expected = (above - below) / width;
        assertEquals(
            expected,
            parameter.gradientAt(i),
            1e-5 + 1e-3 * Math.abs(expected),
            parameter.name() + "[" + i + "]");
      }
    }
  }

  private static double loss(Path checkpoint) {
    DoubleReference reference = DoubleReference.open(checkpoint);
    double sum = 0;
    double total = 0;
    for (Example example : EXAMPLES) {
      double[][] logProbs = reference.logProbs(example.tokens());
      for (int t = 1; t < example.tokens().length; t++) {
        sum -= example.weights()[t] * logProbs[t - 1][example.tokens()[t]];
        total += example.weights()[t];
      }
    }
    return sum / total;
  }

  @ParameterizedTest
  @ValueSource(strings = {"F32", "BF16", "F16"})
  void write_load_isBitExact(String dtype) throws IOException {
    Path tiny = TinyCheckpoint.qwen3().vocab(VOCAB).dtype(dtype).write(directory.resolve("a"));
    try (QatModel model = QatModel.load(tiny)) {
      ModelDirectory.write(model, directory.resolve("b"), DType.valueOf(dtype));
      try (QatModel again = QatModel.load(directory.resolve("b"))) {
        assertEquals(model.config().hiddenSize(), again.config().hiddenSize());
        assertEquals(model.config().rmsNormEps(), again.config().rmsNormEps());
        for (Parameter parameter : model.parameters()) {
          assertArrayEquals(parameter.toFloats(), again.parameter(parameter.name()).toFloats());
        }
        ModelDirectory.write(again, directory.resolve("c"), DType.valueOf(dtype));
      }
      assertArrayEquals(
          Files.readAllBytes(directory.resolve("b/model.safetensors")),
          Files.readAllBytes(directory.resolve("c/model.safetensors")));
    }
  }

  @Test
  void quantize_forwardIsThatOfTheRoundedModel_gradientPassesWhereInside() {
    Path tiny = tiny(true);
    TokenBatch batch = TokenBatch.of(EXAMPLES);
    try (QatModel student = QatModel.load(tiny);
        QatModel rounded = QatModel.load(tiny)) {
      for (Parameter linear : student.linears()) {
        int rows = Math.toIntExact(linear.shape().getFirst());
        int cols = Math.toIntExact(linear.shape().getLast());
        FakeQuant quant = FakeQuant.ofRange(linear.toFloats(), rows, cols);
        // one latent far outside, which the frozen scale clamps
        linear.set(0, 100);
        linear.quantize(quant);
        Parameter plain = rounded.parameter(linear.name());
        for (int i = 0; i < linear.size(); i++) {
          int row = i / cols;
          int group = i % cols / Grid.GROUP;
          int code = quant.code(linear.get(i), row, i % cols);
          plain.set(i, quant.scale(row, group) * (code - quant.zero(row, group)));
        }
        plain.quantize(quant); // changes no value, but lets the inputs be rounded alike
      }
      assertEquals(14, student.linears().size());
      float[] expectedLogits = logits(rounded, batch);
      float[] logits = logits(student, batch);
      assertArrayEquals(expectedLogits, logits);
      RowLoss loss = RowLoss.crossEntropy(batch.totalWeight());
      assertEquals(rounded.backward(batch, loss), student.backward(batch, loss));
      for (Parameter linear : student.linears()) {
        float[] expected = gradient(rounded.parameter(linear.name()));
        int passed = 0;
        for (int i = 0; i < expected.length; i++) {
          passed += linear.gradientAt(i) == expected[i] ? 1 : 0;
          assertTrue(linear.gradientAt(i) == expected[i] || linear.gradientAt(i) == 0);
        }
        assertEquals(0, linear.gradientAt(0));
        assertTrue(passed > 0.9 * expected.length, linear.name() + " " + passed);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"rtn", "gptq"})
  void loadQuantized_forwardIsThatOfTheExport(String method) throws IOException {
    Path plain = TinyCheckpoint.qwen3().write(directory.resolve("plain"));
    Path calibration = directory.resolve("calibration.jsonl");
    Files.writeString(calibration, "{\"token_ids\": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]}\n");
    Path export = directory.resolve("export");
    List<String> arguments = new ArrayList<>();
    arguments.addAll(List.of("--model", plain.toString(), "--out", export.toString()));
    arguments.addAll(List.of("--method", method, "--threads", "1"));
    if (method.equals("gptq")) {
      arguments.addAll(List.of("--calibration", calibration.toString()));
    }
    assertEquals(
        0, new CommandLine(new QuantizeCommand()).execute(arguments.toArray(String[]::new)));
    try (QatModel student = QatModel.loadQuantized(export)) {
      TokenBatch batch = TokenBatch.of(EXAMPLES);
      int vocab = student.config().vocabSize();
      float[] logits = logits(student, batch);
      double alike = meanDifference(DoubleReference.openRounding(export), batch, logits, vocab);
      double not = meanDifference(DoubleReference.open(export), batch, logits, vocab);
      // free-running, a code on the other side of a tie moves all that follows
      assertTrue(alike < 2e-4, "mean " + alike + "; without rounding " + not);
      assertTrue(student.linears().stream().allMatch(linear -> linear.quant() != null));
    }
    assertThrows(CheckpointException.class, () -> QatModel.load(export));
  }

  private static double meanDifference(
      DoubleReference reference, TokenBatch batch, float[] logits, int vocab) {
    double sum = 0;
    for (int i = 0; i < batch.rows().length; i++) {
      double[] expected = expected(reference, batch, i);
      for (int v = 0; v < vocab; v++) {
        sum += Math.abs(expected[v] - logits[i * vocab + v]);
      }
    }
    return sum / logits.length;
  }

  /**
   * What autograd keeps for the backward pass must not hang on objects that are garbage by then.
   */
  @Test
  void backward_afterGarbageCollection_isTheSame() {
    try (QatModel model = QatModel.load(tiny(true))) {
      TokenBatch batch = TokenBatch.of(EXAMPLES);
      RowLoss loss = RowLoss.crossEntropy(batch.totalWeight());
      model.backward(batch, loss);
      float[] expected = gradient(model.parameters().getFirst());
      model.parameters().forEach(Parameter::clearGradient);
      List<ByteBuffer> refilled = new ArrayList<>();
      model.backward(
          batch,
          (logits, first, part) -> {
            for (int i = 0; i < 3; i++) {
              System.gc();
              sleep();
            }
            for (int i = 0; i < 20_000; i++) {
              // of the size that a freed number had
              refilled.add(ByteBuffer.allocateDirect(4).putInt(0, -1));
            }
            return loss.at(logits, first, part);
          });
      assertEquals(20_000, refilled.size());
      assertArrayEquals(expected, gradient(model.parameters().getFirst()));
    }
  }

  private static void sleep() {
    try {
      Thread.sleep(20); // the cleaner has a thread of its own
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void backward_manyTimes_leavesNoArrayBehind() {
    try (QatModel model = QatModel.load(tiny(true))) {
      TokenBatch batch = TokenBatch.of(EXAMPLES);
      RowLoss loss = RowLoss.crossEntropy(1);
      model.backward(batch, loss);
      int open = model.openArrays();
      for (int i = 0; i < 20; i++) {
        model.backward(batch, loss);
        logits(model, batch);
      }
      assertEquals(open, model.openArrays());
    }
  }
}

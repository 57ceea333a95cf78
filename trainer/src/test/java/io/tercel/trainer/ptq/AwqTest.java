package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.DoubleReference;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.GroupFit;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AwqTest {
  private static final Ops OPS = new ScalarOps();

  @TempDir private Path temp;

  @Test
  void scales_matchTheFormula() {
    double[] strengths = {0.5, 2, 8};
    assertArrayEquals(new float[] {1, 1, 1}, AwqScales.of(strengths, 0));
    assertArrayEquals(new float[] {0.5f, 1, 2}, AwqScales.of(strengths, 0.5), 1e-6f);
    // 0^0.5 is held at 1e-4; sqrt(2 * 1e-4) = 0.014142
    assertArrayEquals(
        new float[] {0.0070711f, 141.42136f}, AwqScales.of(new double[] {0, 4}, 0.5), 1e-4f);
    assertEquals(0.95, AwqScales.ratio(AwqScales.RATIOS - 1), 1e-12);
  }

  @Test
  void best_isTheFirstOfTheLeast() {
    double[] strengths = {1, 100};
    AwqSearch.Scales found =
        AwqSearch.best(strengths, factors -> Math.abs(factors[1] / factors[0] - 100 / 4.0));
    // 100^0.7 = 25.1
    assertEquals(0.7, found.ratio(), 1e-9);
    assertEquals(0, AwqSearch.best(strengths, factors -> 1).ratio());
    assertEquals(0, AwqSearch.best(strengths, factors -> Double.NaN).ratio());
  }

  @Test
  void moments_areThoseOfTheDefinition() {
    int cols = 200;
    float[] x = Matrices.gaussian(300, cols, 1, 1);
    InputMoments moments = new InputMoments(cols);
    try (Ops ops = new VectorOps(2)) {
      moments.add(Arrays.copyOf(x, 170 * cols), 170, ops);
      moments.add(Arrays.copyOfRange(x, 170 * cols, 300 * cols), 130, ops);
    }
    float[] factors = new float[cols];
    for (int j = 0; j < cols; j++) {
      factors[j] = 1 + j / 100f;
    }
    float[][] products = moments.products(1, factors);
    assertEquals(72, products.length);
    for (int i : new int[] {0, 1, 40, 71}) {
      double absolute = 0;
      double sum = 0;
      for (int t = 0; t < 300; t++) {
        absolute += Math.abs(x[t * cols + 128 + i]) / 300;
        sum += (double) x[t * cols + 128 + i] * x[t * cols + 128 + 5] / 300;
      }
      assertEquals(absolute, moments.strengths()[128 + i], 1e-5);
      assertEquals(sum / factors[128 + i] / factors[133], products[i][5], 1e-5);
    }
  }

  /** The clip that is chosen is the one of ten that a plain search over the outputs finds. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void clip_isThatOfThePlainSearch_onDividedInputs(boolean scaled) {
    int rows = 12;
    int cols = 192;
    float[] w = Matrices.gaussian(rows, cols, 0.05, 2);
    for (int row = 0; row < rows; row++) {
      w[row * cols + row] *= 6; // something to cut off
    }
    float[] x = Matrices.autoregressive(200, cols, 0.8, 3);
    InputMoments moments = new InputMoments(cols);
    moments.add(x, 200, OPS);
    float[] factors = new float[cols];
    Arrays.fill(factors, 1);
    if (scaled) {
      factors = factors(cols, new Random(6));
      for (int i = 0; i < x.length; i++) {
        x[i] /= factors[i % cols];
      }
    }
    Grid grid = new Grid(false, false);
    QuantizedMatrix m = AwqClip.quantize(w, rows, moments, factors, grid, OPS);
    int clipped = 0;
    for (int row = 0; row < rows; row++) {
      for (int g = 0; g < 2; g++) {
        float[] expected = plainSearch(w, row * cols + g * 128, g, x, cols, grid);
        clipped += expected[2] < 1 ? 1 : 0;
        assertEquals(expected[0], m.scales()[row * 2 + g]);
        assertEquals(expected[1], m.zeros()[row * 2 + g]);
      }
    }
    assertTrue(clipped > 5, clipped + " groups were clipped");
  }

  /** Scale, zero point and share. */
  private static float[] plainSearch(float[] w, int from, int g, float[] x, int cols, Grid grid) {
    int count = Math.min(128, cols - g * 128);
    float most = 0;
    for (int i = 0; i < count; i++) {
      most = Math.max(most, Math.abs(w[from + i]));
    }
    double least = Double.POSITIVE_INFINITY;
    float[] best = new float[3];
    for (int step = 0; step < 10; step++) {
      float[] cut = new float[count];
      for (int i = 0; i < count; i++) {
        float bound = most * (1 - step / 20f);
        cut[i] = Math.clamp(w[from + i], -bound, bound);
      }
      GroupFit fit = new GroupFit(grid);
      fit.fit(cut, 0, count);
      double loss = 0;
      for (int t = 0; t < x.length / cols; t++) {
        double y = 0;
        for (int i = 0; i < count; i++) {
          int code = Grid.code(cut[i], fit.scale(), fit.zero());
          double error = Grid.value(code, fit.scale(), fit.zero()) - w[from + i];
          y += error * x[t * cols + g * 128 + i];
        }
        loss += y * y;
      }
      if (loss < least) {
        least = loss;
        best = new float[] {fit.scale(), fit.zero(), 1 - step / 20f};
      }
    }
    return best;
  }

  /** Whatever the factors: in doubles the rescaled model says what the model says. */
  @ParameterizedTest
  @CsvSource({"true,BF16,2", "false,BF16,2", "false,F16,4", "true,F32,4"})
  void rescaling_changesNothing(boolean qwen3, String dtype, int kvHeads) {
    TinyCheckpoint tiny =
        (qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2())
            .dtype(dtype)
            .hidden(128)
            .heads(4, kvHeads, 32);
    Path from = tiny.write(temp.resolve("plain"));
    int[] tokens = new Random(1).ints(30, 0, 250).toArray();
    double[][] expected = DoubleReference.open(from).logProbs(tokens);
    Map<String, RawTensor> tensors = new LinkedHashMap<>(tiny.tensors());
    try (Checkpoint source = Checkpoint.open(from)) {
      for (int i = 0; i < source.layers().size(); i++) {
        LayerSource layer = source.layers().get(i);
        ScaledLayer scaled = new ScaledLayer(layer);
        assertEquals(kvHeads == 4, scaled.valuesAreOutputs());
        Random random = new Random(i);
        List<Matrix> qkv = List.of(Matrix.Q, Matrix.K, Matrix.V);
        scaled.throughNorm(Norm.INPUT, qkv, factors(layer.q().cols(), random));
        List<Matrix> mlp = List.of(Matrix.GATE, Matrix.UP);
        scaled.throughNorm(Norm.POST_ATTENTION, mlp, factors(layer.up().cols(), random));
        scaled.throughUp(factors(layer.down().cols(), random));
        if (scaled.valuesAreOutputs()) {
          scaled.throughValues(factors(layer.o().cols(), random));
        }
        put(layer, scaled, tensors);
      }
    }
    RawSafetensors.write(from.resolve("model.safetensors"), tensors);
    double[][] actual = DoubleReference.open(from).logProbs(tokens);
    for (int t = 0; t < tokens.length; t++) {
      assertArrayEquals(expected[t], actual[t], 2e-5);
    }
  }

  private static float[] factors(int count, Random random) {
    float[] factors = new float[count];
    for (int j = 0; j < count; j++) {
      factors[j] = (float) Math.exp(random.nextGaussian());
    }
    return factors;
  }

  private static void put(LayerSource layer, ScaledLayer scaled, Map<String, RawTensor> tensors) {
    for (Matrix m : Matrix.values()) {
      String name = layer.matrix(m).name();
      RawTensor was = Objects.requireNonNull(tensors.get(name + ".weight"));
      tensors.put(name + ".weight", RawTensor.floats("F32", scaled.weight(m), was.shape()));
      float[] bias = scaled.bias(m);
      if (bias != null) {
        // in its own type, which must hold it exactly
        String dtype = Objects.requireNonNull(tensors.get(name + ".bias")).dtype();
        RawTensor stored = RawTensor.floats(dtype, bias, bias.length);
        assertArrayEquals(bias, stored.toFloats());
        tensors.put(name + ".bias", stored);
      }
    }
    scaled
        .norms()
        .forEach(
            (norm, values) -> {
              String name = Objects.requireNonNull(layer.norm(norm)).name();
              String dtype = Objects.requireNonNull(tensors.get(name)).dtype();
              RawTensor stored = RawTensor.floats(dtype, values, values.length);
              assertArrayEquals(values, stored.toFloats());
              tensors.put(name, stored);
            });
  }

  /** A few inputs are much stronger than the rest: their weights must not be lost. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void awq_beatsRtn_whereInputsHaveOutliers(boolean qwen3) throws IOException {
    TinyCheckpoint tiny =
        (qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2())
            .layers(1)
            .hidden(256)
            .ffn(384)
            .heads(4, qwen3 ? 2 : 4, 64)
            .editTensors(AwqTest::addOutliers);
    Path from = tiny.write(temp.resolve("plain"));
    Random random = new Random(3);
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      sequences.add(random.ints(20 + random.nextInt(30), 0, 250).toArray());
    }
    Calibration calibration = new Calibration(sequences);
    QuantizeReport report;
    try (Checkpoint source = Checkpoint.open(from);
        Ops ops = new VectorOps(2)) {
      Quantizer.Progress silent = (name, weights) -> {};
      QuantizeOptions plain = QuantizeOptions.rtn(false);
      Quantizer.quantize(source, temp.resolve("rtn"), calibration, plain, ops, silent);
      report =
          Quantizer.quantize(
              source, temp.resolve("awq"), calibration, QuantizeOptions.awq(), ops, silent);
    }
    double ratios = 0;
    for (QuantizeReport.Line line : report.lines()) {
      ratios += Objects.requireNonNull(line.details().get("ratio")).doubleValue();
      boolean alone = line.name().equals("o_proj") || line.name().equals("down_proj");
      // q, k and v may lose what the attention as a whole gains
      assertTrue(!alone || line.errors().output() < line.errors().rtnOutput(), line.toString());
    }
    assertTrue(ratios > 1, "factors were found");
    for (int layer = 0; layer < report.numLayers(); layer++) {
      assertTrue(report.layerError(layer, false) < 0.8 * report.layerError(layer, true));
    }
    int[] tokens = random.ints(40, 0, 250).toArray();
    double[][] full = DoubleReference.open(from).logProbs(tokens);
    double rtn = difference(full, DoubleReference.open(temp.resolve("rtn")).logProbs(tokens));
    double awq = difference(full, DoubleReference.open(temp.resolve("awq")).logProbs(tokens));
    assertTrue(awq < 0.9 * rtn, "AWQ " + awq + ", RTN " + rtn);
  }

  private static void addOutliers(Map<String, RawTensor> tensors) {
    for (Map.Entry<String, RawTensor> tensor : tensors.entrySet()) {
      if (tensor.getKey().endsWith("layernorm.weight")) {
        float[] values = tensor.getValue().toFloats();
        for (int j = 5; j < values.length; j += 50) {
          values[j] *= 20;
        }
        tensor.setValue(RawTensor.floats("BF16", values, values.length));
      }
    }
  }

  private static double difference(double[][] expected, double[][] actual) {
    double sum = 0;
    for (int t = 0; t < expected.length; t++) {
      for (int i = 0; i < expected[t].length; i++) {
        sum += Math.abs(expected[t][i] - actual[t][i]);
      }
    }
    return sum / expected.length / expected[0].length;
  }
}

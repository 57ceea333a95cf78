package io.tercel.trainer.ptq.transform;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.DoubleReference;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** In other coordinates and unrounded, a model computes what it did. */
class RewriteTest {
  private static final int[] TOKENS = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};

  @TempDir private Path temp;
  private final Ops ops = new ScalarOps();

  private Path tiny(boolean qwen3) {
    TinyCheckpoint tiny = qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2();
    return tiny.vocab(40).write(temp.resolve("tiny"));
  }

  private static void assertSame(double[][] expected, double[][] actual) {
    for (int t = 0; t < expected.length; t++) {
      double largest = Arrays.stream(expected[t]).map(Math::abs).max().orElse(0);
      assertArrayEquals(expected[t], actual[t], 1e-12 * Math.max(1, largest));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void quaRot_isAnIdentity(boolean qwen3) {
    Path tiny = tiny(qwen3);
    try (Checkpoint source = Checkpoint.open(tiny)) {
      DoubleModel model = new DoubleModel(source);
      double[][] expected = model.logits(TOKENS);
      double[][] reference = DoubleReference.open(tiny).logits(TOKENS);
      for (int t = 0; t < TOKENS.length; t++) {
        assertArrayEquals(reference[t], expected[t], 1e-9);
      }
      QuaRot quaRot = new QuaRot(source.config(), 5);
      for (int i = 0; i < source.config().numLayers(); i++) {
        model.rewrite(i, quaRot.layer(model.inputNorm(i), model.postAttentionNorm(i)), ops);
      }
      model.rotateEnds(quaRot, ops);
      assertSame(expected, model.logits(TOKENS));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void flatQuant_isAnIdentity(boolean qwen3) {
    try (Checkpoint source = Checkpoint.open(tiny(qwen3))) {
      DoubleModel model = new DoubleModel(source);
      double[][] expected = model.logits(TOKENS);
      for (int i = 0; i < source.config().numLayers(); i++) {
        FlatTransforms learned = skewed(source.config(), i);
        LayerRewrite rewrite =
            learned.layer(
                source.config(),
                model.inputNorm(i),
                model.postAttentionNorm(i),
                OnlineTransforms.Clips.NONE);
        model.rewrite(i, rewrite, ops);
      }
      assertSame(expected, model.logits(TOKENS));
    }
  }

  /** As if something had been learned: nothing orthogonal, scales around 1. */
  private static FlatTransforms skewed(ModelConfig config, int layer) {
    Random random = new Random(layer);
    FlatTransforms t = FlatTransforms.random(config, layer);
    return new FlatTransforms(
        Kronecker.of(skew(t.qkv().left(), random), skew(t.qkv().right(), random)),
        scales(config.hiddenSize(), random),
        Kronecker.of(skew(t.gateUp().left(), random), skew(t.gateUp().right(), random)),
        scales(config.hiddenSize(), random),
        Kronecker.of(skew(t.down().left(), random), skew(t.down().right(), random)),
        scales(config.intermediateSize(), random),
        skew(t.values(), random),
        skew(t.heads(), random),
        skew(t.keys(), random));
  }

  private static SquareMatrix skew(@Nullable SquareMatrix m, Random random) {
    assertNotNull(m);
    double[] values = new double[m.size() * m.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = m.values()[i] + 0.03 * random.nextGaussian();
    }
    return new SquareMatrix(m.size(), values).rounded();
  }

  private static double[] scales(int count, Random random) {
    double[] scales = new double[count];
    Arrays.setAll(scales, i -> Math.exp(0.4 * random.nextGaussian()));
    return scales;
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void randomTransforms_areOrthogonal_ofThePapersSizes(boolean qwen3) {
    try (Checkpoint source = Checkpoint.open(tiny(qwen3))) {
      FlatTransforms t = FlatTransforms.random(source.config(), 1);
      assertEquals(new KroneckerSizes(8, 8), t.qkv().sizes());
      assertEquals(new KroneckerSizes(10, 16), t.down().sizes());
      SquareMatrix square = t.keys().times(t.keys().transpose());
      assertTrue(Math.abs(square.at(0, 0) - 1) < 1e-6 && Math.abs(square.at(0, 1)) < 1e-6);
    }
  }
}

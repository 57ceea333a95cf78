package io.tercel.kernels.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.DecoderLayer.Tap;
import io.tercel.kernels.model.DecoderLayer.Watch;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DecoderLayerTest {
  private static final int ROWS = 21;

  @TempDir Path temp;

  private final Ops ops = new VectorOps(1);

  /** What a tap shows is what the linears behind it read, to the bit. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void taps_showWhatTheWholePassReads(boolean quantized) {
    TinyCheckpoint tiny = TinyCheckpoint.qwen3();
    if (quantized) {
      tiny.gptq(GptqVariant.ASYM_ACT_ORDER_V2);
    }
    StepBatch batch = new StepBatch();
    batch.beginSequence(new int[] {1, 0});
    for (int p = 0; p < ROWS; p++) {
      batch.addToken(3 * p, p);
    }
    try (WeightStore weights = Lab.load(tiny.write(temp));
        KvPool kv = new KvPool(KvLayout.of(weights.config(), KvType.FP32), 2)) {
      ModelConfig config = weights.config();
      LayerWeights w = weights.layers().getFirst();
      DecoderLayer layer = new DecoderLayer(config, ops);
      layer.begin(batch);
      float[] hidden = new float[ROWS * config.hiddenSize()];
      ops.embed(weights.embedding(), batch, hidden);

      float[] before = hidden.clone();
      assertArrayEquals(
          normed(hidden, w.inputNorm(), config),
          attention(layer, w, kv, batch, hidden, Tap.ATTENTION));
      float[] attended = attention(layer, w, kv, batch, hidden, Tap.OUTPUT);
      assertArrayEquals(before, hidden, "a watched pass leaves the hidden states alone");
      layer.attention(w, kv, 0, batch, hidden, null);
      assertArrayEquals(plus(before, w.o(), attended), hidden);

      before = hidden.clone();
      assertArrayEquals(
          normed(hidden, w.postAttentionNorm(), config), feedForward(layer, w, hidden, Tap.MLP));
      float[] gated = feedForward(layer, w, hidden, Tap.DOWN);
      assertArrayEquals(before, hidden, "a watched pass leaves the hidden states alone");
      layer.feedForward(w, ROWS, hidden, null);
      assertArrayEquals(plus(before, w.down(), gated), hidden);
    } finally {
      ops.close();
    }
  }

  private float[] normed(float[] hidden, float[] weight, ModelConfig config) {
    float[] normed = new float[hidden.length];
    ops.rmsNorm(hidden, weight, config.rmsNormEps(), ROWS, normed);
    return normed;
  }

  /** hidden + W x. */
  private float[] plus(float[] hidden, Linear linear, float[] x) {
    Projection projection = Projection.of(linear);
    PreparedInput input = new PreparedInput();
    float[] sum = hidden.clone();
    float[] y = new float[hidden.length];
    ops.prepare(projection, x, ROWS, input);
    ops.linear(projection, input, new float[][] {y});
    ops.add(sum, y, sum.length);
    return sum;
  }

  private static float[] attention(
      DecoderLayer layer, LayerWeights w, KvPool kv, StepBatch batch, float[] hidden, Tap tap) {
    List<float[]> shown = new ArrayList<>();
    layer.attention(w, kv, 0, batch, hidden, watch(tap, shown));
    assertEquals(1, shown.size());
    return shown.getFirst();
  }

  private static float[] feedForward(DecoderLayer layer, LayerWeights w, float[] hidden, Tap tap) {
    List<float[]> shown = new ArrayList<>();
    layer.feedForward(w, ROWS, hidden, watch(tap, shown));
    assertEquals(1, shown.size());
    return shown.getFirst();
  }

  private static Watch watch(Tap tap, List<float[]> shown) {
    return new Watch(
        tap,
        (x, rows) -> {
          assertEquals(ROWS, rows);
          shown.add(Arrays.copyOf(x, x.length));
        });
  }
}

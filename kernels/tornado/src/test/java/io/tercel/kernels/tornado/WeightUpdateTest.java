package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightPatch;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.tornado.DeviceLab.Sequence;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** New weights in the store are what the next step computes with. */
@Tag("device")
class WeightUpdateTest {
  @TempDir Path one;
  @TempDir Path two;

  /** Of 4 bits transforms and clips change too. */
  @ParameterizedTest
  @ValueSource(ints = {3, 4})
  void replacedWeights_areSentOnceAndUsed(int bits) {
    try (WeightStore weights = DeviceLab.load(checkpoint(1, bits).write(one));
        WeightStore others = DeviceLab.load(checkpoint(2, bits).write(two));
        DeviceLab lab = new DeviceLab(weights, KvType.INT4)) {
      Sequence sequence = Sequence.random(1, lab.vocab, 40, 3, 2);
      List<TokenResult> before = DeviceLab.alone(lab.tornado, sequence, 40);
      assertEquals(DeviceLab.alone(lab.vector, sequence, 40), before);
      assertEquals(0, lab.tornado.resentWeights());

      weights.replaceWith(others);
      assertEquals(1, lab.tornado.weightVersion());
      List<TokenResult> after = DeviceLab.alone(lab.tornado, sequence, 40);
      assertEquals(DeviceLab.alone(lab.vector, sequence, 40), after);
      assertNotEquals(before, after);
      assertEquals(3, lab.tornado.resentWeights(), "two layers, and embedding and head");
      assertEquals(after, DeviceLab.alone(lab.tornado, sequence, 7));
      assertEquals(3, lab.tornado.resentWeights(), "nothing has changed since");
    }
  }

  /** Of a group of layers in one graph the one that has changed is sent. */
  @Test
  void oneLayersWeights_areSentAlone() {
    try (WeightStore weights = DeviceLab.load(checkpoint(1, 3).layers(4).write(one));
        DeviceLab lab = new DeviceLab(weights, KvType.INT4)) {
      Sequence sequence = Sequence.random(1, lab.vocab, 40, 3, 2);
      List<TokenResult> before = DeviceLab.alone(lab.tornado, sequence, 40);
      for (int layer : new int[] {2, 0, 3}) {
        long sent = lab.tornado.resentWeights();
        doubleNorm(weights, layer);
        List<TokenResult> after = DeviceLab.alone(lab.tornado, sequence, 40);
        assertEquals(DeviceLab.alone(lab.vector, sequence, 40), after, "layer " + layer);
        assertNotEquals(before, after);
        assertEquals(sent + 1, lab.tornado.resentWeights());
        before = after;
      }
    }
  }

  private static void doubleNorm(WeightStore weights, int layer) {
    float[] norm = weights.layers().get(layer).postAttentionNorm();
    float[] twice = norm.clone();
    for (int i = 0; i < twice.length; i++) {
      twice[i] *= 2;
    }
    try (WeightPatch patch = WeightPatch.against(weights)) {
      patch.writer().vector("a norm", norm, twice);
      weights.update(patch);
    }
  }

  private static TinyCheckpoint checkpoint(long seed, int bits) {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen3().seed(seed).vocab(97).layers(2).hidden(96).heads(3, 1, 64).ffn(160);
    return bits == 4 ? tiny.w4() : tiny.gptq(GptqVariant.SYM);
  }
}

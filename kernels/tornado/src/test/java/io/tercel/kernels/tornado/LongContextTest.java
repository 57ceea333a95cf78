package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.RandomWeights;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.tornado.DeviceLab.Sequence;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Decoding at 32,768 tokens: 128 splits and more. The keys and values are those of 2,048 computed
 * tokens, of which the block table names each block many times: attention sees as many tokens.
 */
@Tag("device")
class LongContextTest {
  private static final int COMPUTED = 2048;
  private static final int CONTEXT = 32_768;

  @ParameterizedTest
  @EnumSource(
      value = KvType.class,
      names = {"FP16", "INT4"})
  void decode_at32k_equalsTheCpus(KvType type) {
    ModelConfig config =
        new ModelConfig(
            Architecture.QWEN3, 64, 96, 2, 4, 2, 64, 131, 1e-6f, 1e6, 65_536, true, List.of());
    try (WeightStore weights = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 5);
        DeviceLab lab = new DeviceLab(weights, type)) {
      assertEquals(129, Attention.splits(CONTEXT + 1));
      Sequence sequence = Sequence.random(1, lab.vocab, COMPUTED, 0, 1);
      List<TokenResult> expected = decode(lab.vector, sequence);
      assertEquals(expected, decode(lab.tornado, sequence));
      // grids that never change, as captured graphs need them, have idle groups for most of a text
      try (TornadoBackend captured =
          new TornadoBackend(
              weights,
              KvLayout.of(config, type),
              DeviceLab.BLOCKS,
              TornadoBackends.device(0),
              List.of(1, 4))) {
        assertEquals(expected, decode(captured, sequence));
        Sequence few = Sequence.random(2, lab.vocab, 20, 9, 1);
        assertEquals(DeviceLab.alone(lab.vector, few, 1), DeviceLab.alone(captured, few, 1));
      }
    }
  }

  private static List<TokenResult> decode(Backend backend, Sequence sequence) {
    DeviceLab.alone(backend, sequence, 256);
    int[] table = new int[CONTEXT / 16 + 1];
    for (int b = 0; b < table.length; b++) {
      table[b] = b < CONTEXT / 16 ? sequence.table()[b % sequence.table().length] : 150;
    }
    List<TokenResult> results = new ArrayList<>();
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    int token = 3;
    for (int i = 0; i < 4; i++) {
      batch.clear();
      plan.clear();
      batch.beginSequence(table);
      batch.addToken(token, CONTEXT + i);
      plan.add(SamplingRow.score(0, 9, 0));
      results.addAll(backend.step(batch, plan));
      plan.clear();
      plan.add(DeviceLab.sample(0, i, 0, 1, 0));
      List<TokenResult> drawn = backend.step(batch, plan); // writes the same keys and values again
      token = drawn.getLast().tokenId();
      results.addAll(drawn);
    }
    return results;
  }
}

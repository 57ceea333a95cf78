package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.tornado.DeviceLab.Piece;
import io.tercel.kernels.tornado.DeviceLab.Sequence;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Whole steps on the device give what the CPU's backend gives, to the last bit of every log-prob,
 * whatever the chunks and the mates, and draw the same tokens.
 */
@Tag("device")
class TornadoBackendTest {
  /** Two splits of attention, and no multiple of anything. */
  private static final int LENGTH = 301;

  @TempDir Path temp;

  /** Architecture by weights, each with another KV type. */
  enum Model {
    QWEN2_BF16(KvType.FP16),
    QWEN2_W3_ACT_ORDER(KvType.FP32),
    QWEN2_W4(KvType.INT4),
    QWEN3_FP16(KvType.INT4),
    QWEN3_FP32(KvType.FP16),
    QWEN3_W3(KvType.INT4),
    QWEN3_W4(KvType.INT4);

    final KvType type;

    Model(KvType type) {
      this.type = type;
    }

    TinyCheckpoint checkpoint() {
      TinyCheckpoint tiny =
          name().startsWith("QWEN2") ? TinyCheckpoint.qwen2() : TinyCheckpoint.qwen3();
      tiny.layers(2).vocab(97);
      return switch (this) {
        case QWEN2_BF16 -> tiny.hidden(72).heads(8, 2, 24).ffn(100).dtype("BF16");
        case QWEN3_FP16 -> tiny.hidden(48).heads(3, 3, 32).ffn(76).dtype("F16");
        case QWEN3_FP32 -> tiny.hidden(40).heads(3, 1, 40).ffn(76).dtype("F32");
        case QWEN2_W3_ACT_ORDER ->
            tiny.hidden(160).heads(4, 2, 32).ffn(96).gptq(GptqVariant.ASYM_ACT_ORDER_V2);
        case QWEN2_W4 -> tiny.hidden(160).heads(4, 2, 32).ffn(96).w4();
        case QWEN3_W4 -> tiny.hidden(96).heads(3, 1, 64).ffn(160).w4();
        case QWEN3_W3 -> tiny.hidden(96).heads(4, 1, 64).ffn(160).gptq(GptqVariant.SYM);
      };
    }
  }

  @ParameterizedTest
  @EnumSource(Model.class)
  void steps_equalTheCpus(Model model) {
    try (WeightStore weights = DeviceLab.load(model.checkpoint().write(temp));
        DeviceLab lab = new DeviceLab(weights, model.type)) {
      assertTrue(Attention.splits(LENGTH) > 1);
      GraphBytesTest.assertCounted(lab.tornado.plan());
      Sequence sequence = Sequence.random(1, lab.vocab, LENGTH, 7, 3);
      List<TokenResult> expected = DeviceLab.alone(lab.vector, sequence, 512);
      assertEquals(expected, DeviceLab.alone(lab.tornado, sequence, 512), "in passes");
      assertEquals(expected, DeviceLab.alone(lab.tornado, sequence, 5), "in chunks of 5");
      List<TokenResult> end = expected.subList(LENGTH - 20, LENGTH);
      assertEquals(end, last(lab.tornado, sequence, 20), "one by one");
      amongOthers(lab, sequence, expected);
      draws(lab, sequence);
      refusals(lab, sequence, expected);
    }
  }

  /**
   * The most tasks that a layer has: every matrix reads its input in another order, or after two
   * factors of a transform.
   */
  @ParameterizedTest
  @EnumSource(names = {"QWEN2_W3_ACT_ORDER", "QWEN3_W4"})
  void layersOfManyTasks_fitIntoTheirGraphs(Model model) {
    TinyCheckpoint tiny = model.checkpoint().layers(7);
    try (WeightStore weights = DeviceLab.load(tiny.write(temp));
        DeviceLab lab = new DeviceLab(weights, KvType.INT4)) {
      List<Linear> qkv =
          weights.layers().stream().flatMap(w -> Stream.of(w.q(), w.k(), w.v())).toList();
      int stacks = model == Model.QWEN3_W4 ? 7 : 21; // of 3-bit ones none can be stacked
      assertEquals(stacks, MatrixStack.runs(qkv).size());
      Sequence sequence = Sequence.random(1, lab.vocab, 9, 7, 3);
      assertEquals(
          DeviceLab.alone(lab.vector, sequence, 5), DeviceLab.alone(lab.tornado, sequence, 5));
    }
  }

  private static List<TokenResult> last(Backend backend, Sequence sequence, int rows) {
    List<TokenResult> results = new ArrayList<>();
    for (int p = LENGTH - rows; p < LENGTH; p++) {
      results.addAll(DeviceLab.score(backend, List.of(new Piece(sequence, p, p + 1))));
    }
    return results;
  }

  private static void amongOthers(DeviceLab lab, Sequence sequence, List<TokenResult> expected) {
    List<Piece> pieces = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      Sequence other = Sequence.random(100 + i, lab.vocab, 17 + i, 100 + 5 * i, 1);
      DeviceLab.alone(lab.tornado, other, 512);
      pieces.add(new Piece(other, i % 2 == 0 ? 0 : 16 + i, 17 + i));
    }
    int before = pieces.stream().limit(4).mapToInt(p -> p.to() - p.from()).sum();
    pieces.add(4, new Piece(sequence, LENGTH - 33, LENGTH));
    List<TokenResult> step = DeviceLab.score(lab.tornado, pieces);
    assertTrue(step.size() > 64, "more than a pass");
    assertEquals(expected.subList(LENGTH - 33, LENGTH), step.subList(before, before + 33));
  }

  /**
   * Every way of sampling draws what the host's sampler draws, and brings no logits unless it must.
   */
  private static void draws(DeviceLab lab, Sequence sequence) {
    StepBatch batch = new StepBatch();
    batch.beginSequence(sequence.table());
    SamplingPlan plan = new SamplingPlan();
    int row = 0;
    for (float temperature : new float[] {0, 0.3f, 0.6f, 1, 2.5f}) {
      for (float topP : new float[] {1, 0.95f, 0.2f}) {
        for (int topK : new int[] {0, 1, 20}) {
          batch.addToken(sequence.tokens().get(row), row);
          plan.add(DeviceLab.sample(row, row, temperature, topP, topK));
          row++;
        }
      }
    }
    for (float minP : new float[] {0.05f, 0.5f}) {
      batch.addToken(sequence.tokens().get(row), row);
      plan.add(
          SamplingRow.sample(row)
              .temperature(1)
              .topP(0.9f)
              .minP(minP)
              .seed(3)
              .choice(1)
              .position(row)
              .build());
      row++;
    }
    long before = lab.tornado.fetchedLogits();
    List<TokenResult> expected = lab.vector.step(batch, plan);
    assertEquals(expected, lab.tornado.step(batch, plan));
    assertEquals(before, lab.tornado.fetchedLogits(), "rows of logits that came to the host");
    assertTrue(expected.stream().map(TokenResult::tokenId).distinct().count() > 5);

    plan.clear();
    plan.add(SamplingRow.sample(3).position(3).forbidden(Set.of(5)).numLogprobs(4).build());
    plan.add(SamplingRow.score(7, 11, 0));
    assertEquals(lab.vector.step(batch, plan), lab.tornado.step(batch, plan));
    assertEquals(before + 1, lab.tornado.fetchedLogits(), "a row that asks for more");
  }

  /** A bad batch is refused and writes nothing. */
  private static void refusals(DeviceLab lab, Sequence sequence, List<TokenResult> expected) {
    StepBatch batch = new StepBatch();
    batch.beginSequence(sequence.table());
    batch.addToken(lab.vocab, LENGTH - 1);
    assertThrows(IllegalArgumentException.class, () -> lab.tornado.step(batch, new SamplingPlan()));
    List<TokenResult> again = last(lab.tornado, sequence, 1);
    assertEquals(expected.getLast(), again.getFirst());
    assertNotEquals(expected.getFirst(), again.getFirst());
  }
}

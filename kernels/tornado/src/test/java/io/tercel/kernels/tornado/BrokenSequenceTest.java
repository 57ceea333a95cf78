package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.tornado.DeviceLab.Piece;
import io.tercel.kernels.tornado.DeviceLab.Sequence;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A token whose embedding drives the model beyond a float's range: from there on its sequence has
 * no answers, however they are asked for, and its mates have theirs, bit for bit.
 */
@Tag("device")
class BrokenSequenceTest {
  private static final int VOCAB = 97;
  private static final int HIDDEN = 96;
  private static final int BROKEN = 7;
  private static final int AT = 21;

  @TempDir Path temp;

  @ParameterizedTest
  @EnumSource(KvType.class)
  void brokenTokens_breakTheirSequenceAlone(KvType type) {
    try (WeightStore weights = DeviceLab.load(checkpoint(type).write(temp));
        DeviceLab lab = new DeviceLab(weights, type)) {
      List<Sequence> sound = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        sound.add(sequence(i, false));
      }
      List<Sequence> mixed = List.of(sound.get(0), sequence(1, true), sound.get(2));
      for (int from = 0; from < 40; from += 20) {
        List<TokenResult> before = DeviceLab.score(lab.tornado, pieces(sound, from));
        assertEquals(DeviceLab.score(lab.vector, pieces(sound, from)), before, "as the CPU's");
      }
      List<TokenResult> before = DeviceLab.score(lab.tornado, pieces(sound, 20));
      DeviceLab.score(lab.tornado, pieces(mixed, 0));
      List<TokenResult> after = DeviceLab.score(lab.tornado, pieces(mixed, 20));
      for (int i = 0; i < after.size(); i++) {
        if (i / 20 == 1 && i % 20 >= AT - 20) {
          assertTrue(after.get(i).isBroken(), "row " + i + ": " + after.get(i));
        } else if (i == 20 + AT - 21) { // sound itself, but what it scores is the broken token
          assertFalse(after.get(i).isBroken(), "row " + i + ": " + after.get(i));
          assertEquals(BROKEN, after.get(i).tokenId());
        } else {
          assertEquals(before.get(i), after.get(i), "row " + i);
        }
      }
      draws(lab, mixed.get(1));
      assertEquals(before, DeviceLab.score(lab.tornado, pieces(sound, 20)), "after it");
    }
  }

  /** Another format of weights with each KV type. */
  private static TinyCheckpoint checkpoint(KvType type) {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen3()
            .layers(2)
            .vocab(VOCAB)
            .hidden(HIDDEN)
            .heads(3, 1, 64)
            .ffn(160)
            .dtype("F32")
            .tied(false)
            .editTensors(
                t ->
                    t.computeIfPresent(
                        "model.embed_tokens.weight",
                        (_, w) -> {
                          float[] values = w.toFloats();
                          values[BROKEN * HIDDEN + 5] = 3e38f;
                          return RawTensor.floats("F32", values, w.shape());
                        }));
    return switch (type) {
      case FP16 -> tiny;
      case FP32 -> tiny.gptq(GptqVariant.SYM);
      case INT4 -> tiny.w4();
    };
  }

  private static Sequence sequence(int number, boolean broken) {
    Sequence random = Sequence.random(number, VOCAB - BROKEN - 1, 40, 3 * number, 1);
    List<Integer> tokens =
        new ArrayList<>(random.tokens().stream().map(t -> t + BROKEN + 1).toList());
    if (broken) {
      tokens.set(AT, BROKEN);
    }
    return new Sequence(tokens, random.blocks());
  }

  private static List<Piece> pieces(List<Sequence> sequences, int from) {
    return sequences.stream().map(s -> new Piece(s, from, from + 20)).toList();
  }

  /** None of these is a choice, whether made on the device or, asked for more, on the host. */
  private static void draws(DeviceLab lab, Sequence broken) {
    StepBatch batch = new StepBatch();
    batch.beginSequence(broken.table());
    SamplingPlan plan = new SamplingPlan();
    int p = AT;
    for (float temperature : new float[] {0, 1}) {
      for (float topP : new float[] {1, 0.9f}) {
        for (int topK : new int[] {0, 5}) {
          int row = batch.addToken(broken.tokens().get(p), p++);
          plan.add(DeviceLab.sample(row, p, temperature, topP, topK));
        }
      }
    }
    for (TokenResult result : lab.tornado.step(batch, plan)) {
      assertTrue(result.isBroken(), "drawn: " + result);
      assertTrue(result.tokenId() >= 0 && result.tokenId() < VOCAB, "drawn: " + result);
    }
  }
}

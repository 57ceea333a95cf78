package io.tercel.kernels.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * One sequence of a batch holds a token whose embedding drives the model beyond a float's range:
 * from there on, in this step and in later ones, it has no answers, and the others have theirs, bit
 * for bit.
 */
class NanStepTest {
  private static final int BROKEN = 7;
  private static final int VOCAB = 97;

  @TempDir Path temp;

  @ParameterizedTest
  @CsvSource({
    "FP32,scalar",
    "FP16,scalar",
    "INT4,scalar",
    "FP32,vector",
    "FP16,vector",
    "INT4,vector"
  })
  void brokenTokens_breakTheirSequenceAlone(KvType type, String backend) {
    Path directory =
        TinyCheckpoint.qwen3()
            .dtype("F32")
            .tied(false)
            .vocab(VOCAB)
            .editTensors(
                t ->
                    t.computeIfPresent(
                        "model.embed_tokens.weight",
                        (_, w) -> {
                          float[] values = w.toFloats();
                          values[BROKEN * 64 + 5] = 3e38f;
                          return RawTensor.floats("F32", values, w.shape());
                        }))
            .write(temp);
    try (WeightStore weights = Lab.load(directory);
        Lab lab = new Lab(weights, ops(backend), type)) {
      int[][] texts = new int[3][];
      for (int i = 0; i < texts.length; i++) {
        texts[i] = new Random(i).ints(40, BROKEN + 1, VOCAB).toArray();
      }
      List<TokenResult> before = run(lab, texts, 0, 30);
      List<TokenResult> beforeMore = run(lab, texts, 30, 40);
      texts[1][21] = BROKEN;
      List<TokenResult> after = run(lab, texts, 0, 30);
      List<TokenResult> afterMore = run(lab, texts, 30, 40);
      compare(before, after, 0, 30);
      compare(beforeMore, afterMore, 30, 10);
    }
  }

  private static Ops ops(String backend) {
    return backend.equals("scalar") ? new ScalarOps() : new VectorOps(2);
  }

  /** Tokens [from, to) of all texts in one step; every row scored. */
  private static List<TokenResult> run(Lab lab, int[][] texts, int from, int to) {
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    for (int i = 0; i < texts.length; i++) {
      batch.beginSequence(new int[] {3 * i, 3 * i + 1, 3 * i + 2});
      for (int p = from; p < to; p++) {
        plan.add(SamplingRow.score(batch.addToken(texts[i][p], p), 50, 5));
      }
    }
    return lab.backend.step(batch, plan);
  }

  private static void compare(
      List<TokenResult> before, List<TokenResult> after, int from, int count) {
    for (int i = 0; i < before.size(); i++) {
      int position = from + i % count;
      if (i / count == 1 && position >= 21) {
        assertTrue(after.get(i).isBroken(), "position " + position + ": " + after.get(i));
      } else {
        assertEquals(before.get(i), after.get(i), "row " + i);
      }
    }
  }
}

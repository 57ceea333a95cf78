package io.tercel.kernels.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.jit.JitOps;
import io.tercel.kernels.jit.Processor;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.DoubleReference;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * 800 tokens against the reference in double precision: three joins of attention splits, and turns
 * of RoPE far beyond those of {@link ReferenceTest}'s 74 tokens.
 */
class LongContextTest {
  private static final int TOKENS = 800;

  @TempDir Path temp;

  /**
   * Tiles of rows and single ones take ways of their own to the joined result: the first 704 tokens
   * come in three chunks, the others one by one and four at a time.
   */
  @Test
  void logProbs_of800Tokens() {
    Path directory = TinyCheckpoint.qwen3().dtype("F32").vocab(120).write(temp);
    int[] tokens = new Random(5).ints(TOKENS, 0, 120).toArray();
    double[][] expected = DoubleReference.open(directory).logProbs(tokens);
    assertEquals(4, Attention.splits(TOKENS));
    List<Integer> chunks = new ArrayList<>(List.of(300, 300, 104));
    for (int p = 704; p < TOKENS; p += p % 5 == 4 ? 4 : 1) {
      chunks.add(p % 5 == 4 ? Math.min(4, TOKENS - p) : 1);
    }
    try (WeightStore weights = Lab.load(directory)) {
      double vector = worst(weights, new VectorOps(2), tokens, chunks, expected);
      double scalar = worst(weights, new ScalarOps(), tokens, List.of(TOKENS), expected);
      double jit =
          Processor.isSupported() ? worst(weights, JitOps.open(2), tokens, chunks, expected) : 0;
      System.out.printf(
          "800 tokens: vector within %.2g, jit %.2g, scalar %.2g%n", vector, jit, scalar);
      assertTrue(vector < 2e-5, "vector: a log-prob differs by " + vector);
      assertTrue(jit < 2e-5, "jit: a log-prob differs by " + jit);
      assertTrue(scalar < 2e-5, "scalar: a log-prob differs by " + scalar);
    }
  }

  private static double worst(
      WeightStore weights, Ops ops, int[] tokens, List<Integer> chunks, double[][] expected) {
    double worst = 0;
    int[] table = new int[Math.ceilDiv(TOKENS, KvLayout.BLOCK_SIZE)];
    Arrays.setAll(table, i -> (7 * i + 3) % 60);
    try (Lab lab = new Lab(weights, ops, KvType.FP32)) {
      int from = 0;
      for (int count : chunks) {
        StepBatch batch = new StepBatch();
        SamplingPlan plan = new SamplingPlan();
        batch.beginSequence(table);
        for (int p = from; p < from + count; p++) {
          plan.add(SamplingRow.score(batch.addToken(tokens[p], p), tokens[p], lab.vocab));
        }
        List<TokenResult> results = lab.backend.step(batch, plan);
        for (int i = 0; i < count; i++) {
          for (TokenResult.TokenLogprob top : results.get(i).top()) {
            double difference = Math.abs(top.logprob() - expected[from + i][top.tokenId()]);
            worst = Math.max(worst, difference);
          }
        }
        from += count;
      }
      assertEquals(TOKENS, from);
    }
    return worst;
  }
}

package io.tercel.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.scalar.ScalarOps;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PagedAttentionTest {

  /** Scratch that was sized by few wide heads must grow for more heads that are narrower. */
  @Test
  void attend_narrowerHeadsButMoreOfThem_afterWideOnes() {
    try (VectorOps ops = new VectorOps(1)) {
      check(ops, 128, 1);
      check(ops, 24, 5);
      check(ops, 128, 2);
    }
  }

  /**
   * A batch with more to join than there is room for: some sequences are cut by splits, the rest
   * walk theirs, and no bit tells which.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 8, 9, 40, Integer.MAX_VALUE})
  void attend_moreToJoinThanThereIsRoomFor(int mostPartials) {
    int heads = 2;
    int headDim = 24;
    int[] contexts = {700, 40, 513, 256, 257, 900}; // partials: 6, 2, 6, 2, 4, 8
    StepBatch batch = new StepBatch();
    try (KvPool pool = new KvPool(new KvLayout(KvType.FP32, 1, 1, headDim), 200);
        ScalarOps definition = new ScalarOps();
        WorkerPool workers = new WorkerPool(2)) {
      fill(pool, definition, headDim);
      int block = 0;
      for (int context : contexts) {
        int first = block;
        int[] table = IntStream.range(0, Math.ceilDiv(context, 16)).map(i -> first + i).toArray();
        block += table.length;
        batch.beginSequence(table);
        batch.addToken(0, context - 1);
      }
      float[] q = gaussians(contexts.length * heads * headDim);
      float[] expected = new float[q.length];
      float[] actual = new float[q.length];
      definition.attention(pool, 0, batch, q, heads, expected);
      PagedAttention attention = new PagedAttention(workers, List.of(), mostPartials);
      attention.attend(pool, 0, batch, q, heads, actual);
      attention.attend(pool, 0, batch, q, heads, actual); // scratch as the first step left it
      assertArrayEquals(expected, actual);
    }
  }

  private static void fill(KvPool pool, Ops ops, int headDim) {
    int tokens = 200 * KvLayout.BLOCK_SIZE;
    StepBatch all = new StepBatch();
    all.beginSequence(IntStream.range(0, 200).toArray());
    for (int p = 0; p < tokens; p++) {
      all.addToken(0, p);
    }
    ops.appendKv(pool, 0, all, gaussians(tokens * headDim), gaussians(tokens * headDim + 1));
  }

  private static void check(Ops ops, int headDim, int heads) {
    int rows = AttentionPlan.TILE + 1;
    StepBatch batch = new StepBatch();
    batch.beginSequence(new int[] {2, 0, 1});
    for (int p = 0; p < rows; p++) {
      batch.addToken(0, p);
    }
    float[] q = gaussians(rows * heads * headDim);
    float[] kv = gaussians(rows * headDim);
    try (KvPool pool = new KvPool(new KvLayout(KvType.FP32, 1, 1, headDim), 3);
        ScalarOps definition = new ScalarOps()) {
      definition.appendKv(pool, 0, batch, kv, kv);
      float[] expected = new float[q.length];
      float[] actual = new float[q.length];
      definition.attention(pool, 0, batch, q, heads, expected);
      ops.attention(pool, 0, batch, q, heads, actual);
      assertArrayEquals(expected, actual);
    }
  }

  private static float[] gaussians(int count) {
    Random random = new Random(count);
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }
}

package io.tercel.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.scalar.ScalarOps;
import java.util.Random;
import org.junit.jupiter.api.Test;

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

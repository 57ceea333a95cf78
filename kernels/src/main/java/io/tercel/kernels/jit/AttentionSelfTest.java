package io.tercel.kernels.jit;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.scalar.ScalarOps;
import java.util.Random;

/** {@link SelfTest}'s part for attention: every type of cache by every number of queries. */
final class AttentionSelfTest {
  private static final int KV_HEADS = 2;
  private static final int HEAD_DIM = KvLayout.CHUNK_DIMS;

  /** A whole split, and a second one of three blocks, the last not full. */
  private static final int CONTEXT = 256 + 37;

  private AttentionSelfTest() {}

  /**
   * Compares bits.
   *
   * @throws BackendUnavailableException if any differ
   */
  static void check(Ops ops) {
    Random random = new Random(2);
    StepBatch batch = new StepBatch();
    int[] table = new int[Math.ceilDiv(CONTEXT, KvLayout.BLOCK_SIZE)];
    for (int i = 0; i < table.length; i++) {
      table[i] = table.length - 1 - i;
    }
    for (KvType type : KvType.values()) {
      try (KvPool kv = new KvPool(new KvLayout(type, 1, KV_HEADS, HEAD_DIM), table.length)) {
        rows(batch, table, 0, CONTEXT);
        float[] k = random(CONTEXT * KV_HEADS * HEAD_DIM, random);
        float[] v = random(CONTEXT * KV_HEADS * HEAD_DIM, random);
        ops.appendKv(kv, 0, batch, k, v);
        rows(batch, table, CONTEXT - 1, CONTEXT);
        for (int queries = 1; queries <= ScoreCode.QUERIES; queries++) {
          check(ops, kv, batch, queries, random);
        }
      }
    }
  }

  private static void rows(StepBatch batch, int[] table, int from, int to) {
    batch.clear();
    batch.beginSequence(table);
    for (int position = from; position < to; position++) {
      batch.addToken(0, position);
    }
  }

  private static void check(Ops ops, KvPool kv, StepBatch batch, int queries, Random random) {
    int heads = KV_HEADS * queries;
    float[] q = random(heads * HEAD_DIM, random);
    float[] expected = new float[q.length];
    float[] actual = new float[q.length];
    try (Ops definition = new ScalarOps()) {
      definition.attention(kv, 0, batch, q, heads, expected);
    }
    ops.attention(kv, 0, batch, q, heads, actual);
    for (int i = 0; i < actual.length; i++) {
      if (Float.floatToRawIntBits(actual[i]) != Float.floatToRawIntBits(expected[i])) {
        throw new BackendUnavailableException(
            "the self-test of attention over %s by %d queries gave %s for %s"
                .formatted(kv.layout().type().label(), queries, actual[i], expected[i]));
      }
    }
  }

  private static float[] random(int count, Random random) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }
}

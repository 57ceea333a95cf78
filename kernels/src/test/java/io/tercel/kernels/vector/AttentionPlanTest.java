package io.tercel.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.StepBatch;
import org.junit.jupiter.api.Test;

class AttentionPlanTest {
  private static final int HEADS = 32;
  private static final int KV_HEADS = 8;
  private static final int HEAD_DIM = 128;
  private static final int LONG = 32_768;

  /**
   * 64 streams of 32k tokens would leave 128 MiB to join, 8,192 streams more than an int counts.
   */
  @Test
  void layOut_manyLongStreams_takeNoMoreRoomThanThereIs() {
    for (int streams : new int[] {1, 64, 8_192}) {
      AttentionPlan plan = layOut(streams);
      long bytes = plan.numPartials() * (HEAD_DIM + 2L) * Float.BYTES;
      assertTrue(bytes <= Attention.PARTIAL_BYTES, streams + " streams take " + bytes + " bytes");
      assertTrue(plan.hasPartials(0), "the first stream is cut by splits");
      assertEquals(streams == 1, plan.hasPartials(streams - 1), "and the last");
    }
  }

  @Test
  void layOut_oneLongStream_isCutForAllCores() {
    AttentionPlan plan = layOut(1);
    assertTrue(plan.numTasks() >= Attention.splits(LONG));
    assertFalse(plan.split(plan.numTasks() - 1) < 0);
  }

  private static AttentionPlan layOut(int streams) {
    StepBatch batch = new StepBatch();
    int[] table = new int[LONG / KvLayout.BLOCK_SIZE];
    for (int s = 0; s < streams; s++) {
      batch.beginSequence(table);
      batch.addToken(0, LONG - 1);
    }
    AttentionPlan plan = new AttentionPlan();
    plan.layOut(batch, KV_HEADS, HEADS, 2, AttentionPlan.mostPartials(HEAD_DIM));
    return plan;
  }
}

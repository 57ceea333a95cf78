package io.tercel.kernels.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.Lab.Piece;
import io.tercel.kernels.model.Lab.Sequence;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CpuBackendTest {
  @TempDir Path temp;

  /** A bad batch is refused by the exception the interface names, and writes no key or value. */
  @Test
  void step_badBatches_areRefusedAndComputeNothing() {
    try (WeightStore weights = Lab.load(TinyCheckpoint.qwen3().vocab(97).write(temp));
        Lab lab = new Lab(weights, new ScalarOps(), KvType.FP32)) {
      Sequence good = lab.sequence(1, 20, 0, 1);
      float[][] before = lab.alone(good, 20);

      StepBatch empty = new StepBatch();
      empty.beginSequence(new int[] {0});
      refused(lab, empty, SamplingRow.score(0, 1, 0));
      refused(lab, batch(new int[] {0}, 5, 16), SamplingRow.score(0, 1, 0));
      refused(lab, batch(new int[] {-1}, 5, 3), SamplingRow.score(0, 1, 0));
      refused(lab, batch(new int[] {lab.backend.numBlocks()}, 5, 3), SamplingRow.score(0, 1, 0));
      refused(lab, batch(new int[] {0}, lab.vocab, 3), SamplingRow.score(0, 1, 0));
      refused(lab, batch(new int[] {0}, -1, 3), SamplingRow.score(0, 1, 0));
      refused(lab, batch(new int[] {0}, 5, 3), SamplingRow.score(1, 1, 0));
      refused(lab, batch(new int[] {0}, 5, 3), SamplingRow.score(0, lab.vocab, 0));
      refused(lab, batch(new int[] {0}, 5, -1), SamplingRow.score(0, 1, 0));
      refused(lab, rows(3, 3), SamplingRow.score(0, 1, 0));
      refused(lab, rows(4, 3), SamplingRow.score(0, 1, 0));
      refused(lab, rows(3, 5), SamplingRow.score(0, 1, 0));
      refused(lab, rows(3, 200, 4), SamplingRow.score(0, 1, 0)); // beyond its table in between
      refused(lab, rows(3, 4), SamplingRow.score(1, 1, 0), SamplingRow.score(0, 1, 0));
      refused(lab, rows(3, 4), SamplingRow.score(1, 1, 0), SamplingRow.score(1, 2, 0));

      float[][] last = lab.step(List.of(new Piece(good, 19, 20)));
      Lab.assertSame(new float[][] {before[19]}, last, "after all the refusals");
      assertEquals(2, lab.steps());
    }
  }

  private static StepBatch batch(int[] table, int token, int position) {
    StepBatch batch = new StepBatch();
    batch.beginSequence(table);
    batch.addToken(token, position);
    return batch;
  }

  private static StepBatch rows(int... positions) {
    StepBatch batch = new StepBatch();
    batch.beginSequence(new int[] {0});
    for (int position : positions) {
      batch.addToken(5, position);
    }
    return batch;
  }

  private static void refused(Lab lab, StepBatch batch, SamplingRow... rows) {
    SamplingPlan plan = new SamplingPlan();
    for (SamplingRow row : rows) {
      plan.add(row);
    }
    assertThrows(IllegalArgumentException.class, () -> lab.backend.step(batch, plan));
  }
}

package io.tercel.server.model;

import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import java.time.Duration;

/**
 * A few steps of the real weights before anybody asks: what a {@link Miniature} cannot touch is
 * touched here, code for the real shapes and memory that was reserved but never used. What they
 * write lies in blocks that nobody owns.
 */
final class FirstSteps {
  private static final int PROMPT = 40;
  private static final int DECODES = 32;
  private static final int STREAMS = 4;

  private final Backend backend;
  private final int vocabSize;
  private final StepBatch batch = new StepBatch();
  private final SamplingPlan plan = new SamplingPlan();

  FirstSteps(Backend backend, int vocabSize) {
    this.backend = backend;
    this.vocabSize = vocabSize;
  }

  /** On the thread that steps; no new step begins after so long. Returns how many it took. */
  int run(Duration atMost) {
    long start = System.nanoTime();
    int perStream = Math.ceilDiv(PROMPT + DECODES, backend.blockSize());
    int streams = Math.min(STREAMS, backend.numBlocks() / perStream);
    int[][] tables = new int[streams][perStream];
    for (int s = 0; s < streams; s++) {
      for (int b = 0; b < perStream; b++) {
        tables[s][b] = s * perStream + b;
      }
      step(new int[][] {tables[s]}, 0, PROMPT);
    }
    int steps = streams;
    for (int i = 0; i < DECODES && System.nanoTime() - start < atMost.toNanos(); i++) {
      // one stream mostly, now and then all
      step(i % 4 == 3 ? tables : new int[][] {tables[0]}, PROMPT + i, 1);
      steps++;
    }
    return steps;
  }

  private void step(int[][] tables, int from, int count) {
    if (tables.length == 0) {
      return;
    }
    batch.clear();
    plan.clear();
    for (int[] table : tables) {
      batch.beginSequence(table);
      int row = 0;
      for (int position = from; position < from + count; position++) {
        row = batch.addToken(position % vocabSize, position);
      }
      plan.add(SamplingRow.sample(row).position(from + count).build());
    }
    backend.step(batch, plan);
  }
}

package io.tercel.server.model;

import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Steps of the real weights before anybody asks: what a {@link Miniature} cannot touch is touched
 * here, code for the real shapes and memory that was reserved but never used. Where a second
 * backend does what the first did once and never again (scratch that grows, workers that begin),
 * compiled loops are thrown away; so the steps go on until the compilers rest. What they write lies
 * in blocks that nobody owns.
 */
final class FirstSteps {
  private static final int PROMPT = 40;
  private static final int DECODES = 32;
  private static final int STREAMS = 4;

  /** The compilers rest when this many decodes in a row gave them nothing to do ... */
  private static final int QUIET = 64;

  /**
   * ... and for so long none came to an end: their time is counted behind each compilation, and a
   * long one would look like rest.
   */
  private static final Duration REST = Duration.ofMillis(200);

  private final Backend backend;
  private final int vocabSize;
  private final StepBatch batch = new StepBatch();
  private final SamplingPlan plan = new SamplingPlan();
  private final LongSupplier compiledMillis;
  private final LongSupplier nanoTime;

  FirstSteps(Backend backend, int vocabSize) {
    this(
        backend,
        vocabSize,
        ManagementFactory.getCompilationMXBean()::getTotalCompilationTime,
        System::nanoTime);
  }

  /** {@code compiledMillis}: the time that the JVM's compilers have spent so far. */
  FirstSteps(Backend backend, int vocabSize, LongSupplier compiledMillis, LongSupplier nanoTime) {
    this.backend = backend;
    this.vocabSize = vocabSize;
    this.compiledMillis = compiledMillis;
    this.nanoTime = nanoTime;
  }

  /** On the thread that steps; no new step begins after so long. Returns how many it took. */
  int run(Duration atMost) {
    long start = nanoTime.getAsLong();
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
    long compiled = compiledMillis.getAsLong();
    long compiledAt = start;
    int quiet = 0;
    for (int i = 0; ; i++) {
      long time = nanoTime.getAsLong();
      boolean rest = quiet >= QUIET && time - compiledAt >= REST.toNanos();
      if (rest || time - start >= atMost.toNanos()) {
        break;
      }
      // one stream mostly, now and then all
      step(i % 4 == 3 ? tables : new int[][] {tables[0]}, PROMPT + i % DECODES, 1);
      steps++;
      long now = compiledMillis.getAsLong();
      quiet = now == compiled ? quiet + 1 : 0;
      compiledAt = now == compiled ? compiledAt : nanoTime.getAsLong();
      compiled = now;
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

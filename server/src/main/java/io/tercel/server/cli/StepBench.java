package io.tercel.server.cli;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import java.util.Arrays;
import java.util.Random;

/**
 * Drives a backend step by step with random tokens and times it; whole steps, sampling included.
 */
final class StepBench {
  /** Steps before the first measured run, at least: the compilers' share. */
  private static final int WARM_UP_TOKENS = 60;

  /** And at most, where the compilers never rest. */
  private static final int LONGEST_WARM_UP = 600;

  private final Backend backend;
  private final ModelConfig config;
  private final int runs;
  private final Random random = new Random(1);
  private final StepBatch batch = new StepBatch();
  private final SamplingPlan plan = new SamplingPlan();

  /** Tokens a second over some runs. */
  record Result(double median, double min, double max) {
    static Result of(double[] rates) {
      double[] sorted = rates.clone();
      Arrays.sort(sorted);
      return new Result(sorted[sorted.length / 2], sorted[0], sorted[sorted.length - 1]);
    }
  }

  StepBench(Backend backend, ModelConfig config, int runs) {
    this.backend = backend;
    this.config = config;
    this.runs = runs;
  }

  /** So many streams decode so many tokens each, from a context of that length on. */
  Result decode(int streams, int context, int tokens) {
    int blocks = Math.ceilDiv(context + tokens + 1, backend.blockSize());
    int[][] tables = new int[streams][blocks];
    for (int s = 0; s < streams; s++) {
      for (int b = 0; b < blocks; b++) {
        tables[s][b] = s * blocks + b;
      }
    }
    for (int[] table : tables) {
      for (int at = 0; at < context; at += 256) {
        chunk(table, at, Math.min(256, context - at), false);
      }
    }
    return measure(tables, context, tokens);
  }

  /**
   * Fills a context by a prefill. On the CPU only so many tokens are really computed, and the other
   * blocks are copies of theirs: as many bytes as a real context has, each at a place of its own.
   */
  void fill(int prompt, int context) {
    int computed = backend instanceof CpuBackend ? Math.min(prompt, context) : context;
    int[] table = new int[Math.ceilDiv(context, backend.blockSize())];
    Arrays.setAll(table, i -> i);
    for (int at = 0; at < computed; at += 256) {
      chunk(table, at, Math.min(256, computed - at), false);
    }
    if (backend instanceof CpuBackend cpu) {
      int whole = Math.ceilDiv(computed, backend.blockSize());
      for (int b = whole; b < table.length; b++) {
        cpu.copyBlock(b % whole, b);
      }
    }
  }

  /** One stream decodes so many tokens from a context that {@link #fill} has made. */
  Result decodeAt(int context, int tokens) {
    int[] table = new int[Math.ceilDiv(context + tokens + 1, backend.blockSize())];
    Arrays.setAll(table, i -> i);
    return measure(new int[][] {table}, context, tokens);
  }

  private Result measure(int[][] tables, int context, int tokens) {
    int streams = tables.length;
    CompilerRest compilers = new CompilerRest();
    for (int i = 0;
        i < WARM_UP_TOKENS || i < LONGEST_WARM_UP && !compilers.lasts(CompilerRest.ENOUGH);
        i++) {
      oneEach(tables, context + i % tokens);
    }
    double[] rates = new double[runs];
    for (int run = 0; run < runs; run++) {
      long start = System.nanoTime();
      for (int i = 0; i < tokens; i++) {
        oneEach(tables, context + i);
      }
      rates[run] = streams * tokens * 1e9 / (System.nanoTime() - start);
    }
    return Result.of(rates);
  }

  /** One prompt, in chunks of the step's budget. */
  Result prefill(int prompt, int budget) {
    int[] table = new int[Math.ceilDiv(prompt, backend.blockSize())];
    Arrays.setAll(table, i -> i);
    double[] rates = new double[runs];
    for (int run = -2; run < runs; run++) {
      long start = System.nanoTime();
      for (int at = 0; at < prompt; at += budget) {
        int count = Math.min(budget, prompt - at);
        chunk(table, at, count, at + count == prompt);
      }
      if (run >= 0) {
        rates[run] = prompt * 1e9 / (System.nanoTime() - start);
      }
    }
    return Result.of(rates);
  }

  private void chunk(int[] table, int from, int count, boolean sample) {
    batch.clear();
    plan.clear();
    batch.beginSequence(table);
    int row = 0;
    for (int i = 0; i < count; i++) {
      row = batch.addToken(random.nextInt(config.vocabSize()), from + i);
    }
    if (sample) {
      plan.add(greedy(row, from + count));
    }
    backend.step(batch, plan);
  }

  private void oneEach(int[][] tables, int position) {
    batch.clear();
    plan.clear();
    for (int[] table : tables) {
      batch.beginSequence(table);
      int row = batch.addToken(random.nextInt(config.vocabSize()), position);
      plan.add(greedy(row, position + 1));
    }
    backend.step(batch, plan);
  }

  private static SamplingRow greedy(int row, int position) {
    return SamplingRow.sample(row).position(position).build();
  }
}

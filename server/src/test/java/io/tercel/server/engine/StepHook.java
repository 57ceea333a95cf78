package io.tercel.server.engine;

import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import java.util.List;
import java.util.function.IntConsumer;

/** A backend that tells after each step how many there were. */
final class StepHook implements Backend {
  private final Backend backend;
  private final IntConsumer afterStep;
  private int steps;

  StepHook(Backend backend, IntConsumer afterStep) {
    this.backend = backend;
    this.afterStep = afterStep;
  }

  @Override
  public List<TokenResult> step(StepBatch batch, SamplingPlan plan) {
    List<TokenResult> results = backend.step(batch, plan);
    afterStep.accept(++steps);
    return results;
  }

  @Override
  public String name() {
    return backend.name();
  }

  @Override
  public int blockSize() {
    return backend.blockSize();
  }

  @Override
  public int numBlocks() {
    return backend.numBlocks();
  }

  @Override
  public long keyVersion() {
    return backend.keyVersion();
  }

  @Override
  public long weightVersion() {
    return backend.weightVersion();
  }

  @Override
  public void close() {
    backend.close();
  }
}

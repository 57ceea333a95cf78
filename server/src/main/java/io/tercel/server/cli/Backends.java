package io.tercel.server.cli;

import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.vector.VectorOps;

/** Makes the backend that was asked for. */
final class Backends {
  private Backends() {}

  /** A backend with a KV pool of the plan's size; the caller closes it, before the weights. */
  static CpuBackend open(WeightStore weights, ServingPlan plan, ModelOptions options) {
    Ops ops = options.backend.equals("scalar") ? new ScalarOps() : new VectorOps(options.threads);
    return new CpuBackend(weights, ops, plan.kv(), plan.numBlocks());
  }
}

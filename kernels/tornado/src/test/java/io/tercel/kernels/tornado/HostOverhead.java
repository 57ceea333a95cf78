package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.RandomWeights;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.StepBatch;
import java.util.Arrays;
import java.util.List;

/**
 * A program that prints what a decode step costs the host: the time of steps of a model with as
 * many layers as Qwen3-0.6B, but so narrow that its kernels have next to nothing to do.
 */
final class HostOverhead {
  private HostOverhead() {}

  public static void main(String[] args) {
    ModelConfig config =
        new ModelConfig(
            Architecture.QWEN3, 32, 32, 28, 1, 1, 16, 64, 1e-6f, 1e6, 1024, true, List.of());
    try (WeightStore weights = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 1);
        TornadoBackend backend =
            (TornadoBackend)
                new TornadoBackends().open(weights, KvLayout.of(config, KvType.INT4), 64, 0)) {
      StepBatch batch = new StepBatch();
      SamplingPlan plan = new SamplingPlan();
      double[] millis = new double[200];
      for (int i = -100; i < millis.length; i++) {
        batch.clear();
        plan.clear();
        batch.beginSequence(DeviceLab.range(64));
        batch.addToken(5, i + 100);
        plan.add(DeviceLab.sample(0, i + 100, 0, 1, 0));
        long start = System.nanoTime();
        backend.step(batch, plan);
        if (i >= 0) {
          millis[i] = (System.nanoTime() - start) / 1e6;
        }
      }
      Arrays.sort(millis);
      System.out.printf(
          "%d layers, %d task graphs, %d tasks a step: %.2f ms median (least %.2f, 90th %.2f)%n",
          config.numLayers(),
          backend.plan().graphsOfStep(),
          backend.plan().tasksOfStep(),
          millis[millis.length / 2],
          millis[0],
          millis[millis.length * 9 / 10]);
    }
  }
}

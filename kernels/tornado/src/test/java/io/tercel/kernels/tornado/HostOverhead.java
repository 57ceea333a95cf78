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
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.List;

/**
 * A program that prints what a decode step costs the host: the time of steps of a model with as
 * many layers as Qwen3-0.6B, but so narrow that its kernels have next to nothing to do, and how
 * long the host's thread was on a processor meanwhile. On PoCL's {@code basic} device ({@code
 * POCL_DEVICES=basic}) the kernels are in both, on its others in neither but as waiting.
 */
final class HostOverhead {
  static final ModelConfig CONFIG =
      new ModelConfig(
          Architecture.QWEN3, 32, 32, 28, 1, 1, 16, 64, 1e-6f, 1e6, 1024, true, List.of());

  private HostOverhead() {}

  public static void main(String[] args) {
    ModelConfig config = CONFIG;
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    long begun = System.nanoTime();
    try (WeightStore weights = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 1);
        TornadoBackend backend =
            (TornadoBackend)
                new TornadoBackends().open(weights, KvLayout.of(config, KvType.INT4), 64, 0)) {
      double start = (System.nanoTime() - begun) / 1e9;
      StepBatch batch = new StepBatch();
      SamplingPlan plan = new SamplingPlan();
      double[] millis = new double[200];
      double[] busy = new double[millis.length];
      for (int i = -100; i < millis.length; i++) {
        batch.clear();
        plan.clear();
        batch.beginSequence(DeviceLab.range(64));
        batch.addToken(5, i + 100);
        plan.add(DeviceLab.sample(0, i + 100, 0, 1, 0));
        long cpu = threads.getCurrentThreadCpuTime();
        long now = System.nanoTime();
        backend.step(batch, plan);
        if (i >= 0) {
          millis[i] = (System.nanoTime() - now) / 1e6;
          busy[i] = (threads.getCurrentThreadCpuTime() - cpu) / 1e6;
        }
      }
      Arrays.sort(millis);
      Arrays.sort(busy);
      System.out.printf(
          "%d layers, %d task graphs, %d tasks a step: %.2f ms median (least %.2f, 90th %.2f),"
              + " %.2f ms of them the host's thread; started in %.1f s%n",
          config.numLayers(),
          backend.plan().graphsOfStep(),
          backend.plan().tasksOfStep(),
          millis[millis.length / 2],
          millis[0],
          millis[millis.length * 9 / 10],
          busy[busy.length / 2],
          start);
    }
  }
}

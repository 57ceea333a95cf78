package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.ModelShapes;
import io.tercel.kernels.memory.RandomWeights;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.StepBatch;
import java.util.List;

/**
 * A program that has the device's driver compile every kernel, at the shapes of published models of
 * one layer: each format of weights with each type of keys and values. What it answers is not
 * looked at, so that a driver that computes nothing does as well; see docs/gpu-code.md for what to
 * do with the sources.
 *
 * <p>Arguments choose one of each, as far as they are given: SHAPE FORMAT KVTYPE.
 */
final class KernelSources {
  private static final List<String> SHAPES = List.of("qwen3-0.6b", "qwen3-4b");

  private static final List<QuantFormat> FORMATS =
      List.of(Grouped.W3G128, PerRow.W4A4, Dense.BF16, Dense.FP16, Dense.FP32);

  /** Rows of the steps: kernels of one row, and those that rows share. */
  private static final int[] ROWS = {1, 1, 8};

  private KernelSources() {}

  public static void main(String[] args) {
    for (String shape : chosen(SHAPES, args, 0)) {
      ModelConfig config = oneLayer(ModelShapes.byName(shape));
      for (QuantFormat format : FORMATS) {
        if (!chosen(List.of(format.label()), args, 1).isEmpty()) {
          compile(shape, config, format, args);
        }
      }
    }
  }

  /** Those of the known names that an argument chooses; all where it is not given. */
  private static List<String> chosen(List<String> known, String[] args, int argument) {
    return args.length <= argument ? known : known.stream().filter(args[argument]::equals).toList();
  }

  private static void compile(String shape, ModelConfig config, QuantFormat format, String[] args) {
    Dense table = format instanceof Dense dense ? dense : Dense.BF16;
    try (WeightStore weights = RandomWeights.create(config, format, table, 1)) {
      for (KvType type : KvType.values()) {
        if (!chosen(List.of(type.label()), args, 2).isEmpty()) {
          compile(shape, weights, type);
        }
      }
    }
  }

  private static void compile(String shape, WeightStore weights, KvType type) {
    long start = System.nanoTime();
    KvLayout layout = KvLayout.of(weights.config(), type);
    try (TornadoBackend backend =
        (TornadoBackend) new TornadoBackends().open(weights, layout, DeviceLab.BLOCKS, 0)) {
      for (int rows : ROWS) {
        step(backend, rows);
      }
      System.out.printf(
          "%s, one layer, %s weights, %s keys and values: %d task graphs, %d tasks, %.1f s%n",
          shape,
          weights.layers().getFirst().q().weight().format().label(),
          type.label(),
          backend.plan().graphsOfStep(),
          backend.plan().tasksOfStep(),
          (System.nanoTime() - start) / 1e9);
    }
  }

  private static void step(TornadoBackend backend, int rows) {
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    for (int row = 0; row < rows; row++) {
      batch.beginSequence(new int[] {row});
      batch.addToken(5, 0);
      plan.add(DeviceLab.sample(row, 0, 0, 1, 0));
    }
    backend.step(batch, plan);
  }

  private static ModelConfig oneLayer(ModelConfig c) {
    return new ModelConfig(
        c.architecture(),
        c.hiddenSize(),
        c.intermediateSize(),
        1,
        c.numHeads(),
        c.numKvHeads(),
        c.headDim(),
        c.vocabSize(),
        c.rmsNormEps(),
        c.ropeTheta(),
        c.maxPositionEmbeddings(),
        c.tieWordEmbeddings(),
        c.eosTokenIds());
  }
}

package io.tercel.kernels.model;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.jit.JitOps;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.RandomWeights;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.Lab.Piece;
import io.tercel.kernels.model.Lab.Sequence;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.vector.VectorOps;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;
import jdk.incubator.vector.FloatVector;

/** A program that prints how wide its vectors are and a hash of some very small models' logits. */
final class LogitsHash {
  /**
   * Two splits of attention for the first model; the others are shorter, as interpreters are slow.
   */
  private static final int LENGTH = 259;

  private static final int SHORT = 37;

  private LogitsHash() {}

  /**
   * The arguments: how often a decode step is repeated, its bits compared with the first, and the
   * backend, {@code vector} or {@code jit}.
   */
  public static void main(String[] args) {
    System.out.println(
        FloatVector.SPECIES_PREFERRED.length()
            + " "
            + run(
                Integer.parseInt(args[0]), args[1].equals("jit") ? JitOps::open : VectorOps::new));
  }

  static String run(int calls, IntFunction<Ops> backend) {
    int hash = 1;
    QuantFormat[] formats = {Dense.BF16, Dense.FP16, Dense.FP32, Grouped.W3G128};
    for (int i = 0; i < formats.length; i++) {
      Architecture architecture = i % 2 == 0 ? Architecture.QWEN2 : Architecture.QWEN3;
      ModelConfig config =
          new ModelConfig(
              architecture, 40, 56, 1, 2, 1, 24, 37, 1e-6f, 1e4, 4096, false, List.of());
      Dense head = formats[i] instanceof Dense dense ? dense : Dense.BF16;
      KvType type = i == 0 ? KvType.FP16 : i == 1 ? KvType.FP32 : KvType.INT4;
      try (WeightStore weights = RandomWeights.create(config, formats[i], head, 9);
          Lab lab = new Lab(weights, backend.apply(2), type)) {
        hash = 31 * hash + hash(lab, i == 0 ? LENGTH : SHORT, calls / formats.length);
      }
    }
    return Integer.toHexString(hash);
  }

  /** A prompt in one chunk, then steps of a single row, which take other loops. */
  private static int hash(Lab lab, int length, int calls) {
    Sequence sequence = lab.sequence(3, length, 0, 1);
    List<float[]> logits = new ArrayList<>();
    int prompt = length - 3;
    logits.addAll(Arrays.asList(lab.step(List.of(new Piece(sequence, 0, prompt)))));
    for (int p = prompt; p < length; p++) {
      logits.addAll(Arrays.asList(lab.step(List.of(new Piece(sequence, p, p + 1)))));
    }
    float[][] cold = {logits.getLast()};
    for (int i = 0; i < calls; i++) {
      float[][] hot = lab.step(List.of(new Piece(sequence, length - 1, length)));
      Lab.assertSame(cold, hot, "call " + i);
    }
    if (calls > 0) {
      Lab.assertSame(logits.toArray(float[][]::new), lab.alone(sequence, 40), "hot, in chunks");
    }
    return Arrays.deepHashCode(logits.toArray());
  }
}

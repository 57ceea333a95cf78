package io.tercel.kernels.jit;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.HugePages;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.ModelShapes;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.vector.MemoryRead;
import io.tercel.kernels.vector.VectorOps;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * All 3-bit linears of a Qwen3-0.6B alone, inputs prepared, by so many tokens: {@code vector}
 * beside {@code jit} beside a bare read of as many bytes, in turns; or the bf16 head. Arguments:
 * {@code w3} or {@code head}, threads, rounds, numbers of tokens. In {@code kernels}, after {@code
 * mvnw test-compile}:
 *
 * <pre>
 * java --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
 *     -cp target/classes:target/test-classes io.tercel.kernels.jit.LinearsBenchmark w3 2 7 1 8 32
 * </pre>
 */
final class LinearsBenchmark {
  private final List<Projection> projections = new ArrayList<>();
  private final Random random = new Random(1);
  private final Arena arena = Arena.ofShared();
  private long bytes;
  private long weights;

  private LinearsBenchmark(boolean head) {
    ModelConfig c = ModelShapes.QWEN3_0_6B;
    if (head) {
      projections.add(Projection.of(linear(Dense.BF16, c.vocabSize(), c.hiddenSize())));
      return;
    }
    int q = c.numHeads() * c.headDim();
    int kv = c.numKvHeads() * c.headDim();
    int h = c.hiddenSize();
    int f = c.intermediateSize();
    for (int layer = 0; layer < c.numLayers(); layer++) {
      projections.add(Projection.of(linear(q, h), linear(kv, h), linear(kv, h)));
      projections.add(Projection.of(linear(h, q)));
      projections.add(Projection.of(linear(f, h), linear(f, h)));
      projections.add(Projection.of(linear(h, f)));
    }
  }

  private Linear linear(int rows, int cols) {
    return linear(Grouped.W3G128, rows, cols);
  }

  private Linear linear(QuantFormat format, int rows, int cols) {
    MemorySegment w = HugePages.allocate(arena, format.bytes(rows, cols));
    byte[] block = new byte[W3Block.BLOCK_BYTES];
    random.nextBytes(block);
    for (int i = 1; i < W3Block.BLOCK_BYTES; i += 2) {
      boolean half = format instanceof Dense || i / 32 == W3Block.SCALES_OFFSET / 32;
      block[i] = half ? 0x20 : block[i]; // small numbers in 16 bits, whichever kind they are
    }
    for (long at = 0; at < w.byteSize(); at += block.length) {
      int count = (int) Math.min(block.length, w.byteSize() - at);
      MemorySegment.copy(block, 0, w, ValueLayout.JAVA_BYTE, at, count);
    }
    bytes += w.byteSize();
    weights += (long) rows * cols;
    return new Linear(new PackedMatrix("w", w, rows, cols, format, null), null);
  }

  /** Seconds of one pass over all layers. */
  private double pass(Ops ops, PreparedInput[] inputs, float[][] outs) {
    long start = System.nanoTime();
    for (int i = 0; i < projections.size(); i++) {
      ops.linear(projections.get(i), inputs[i % inputs.length], outs);
    }
    return (System.nanoTime() - start) / 1e9;
  }

  private PreparedInput[] inputs(Ops ops, int tokens) {
    PreparedInput[] inputs = new PreparedInput[Math.min(4, projections.size())];
    for (int i = 0; i < inputs.length; i++) {
      float[] x = new float[tokens * projections.get(i).cols()];
      for (int k = 0; k < x.length; k++) {
        x[k] = (float) random.nextGaussian();
      }
      inputs[i] = new PreparedInput();
      ops.prepare(projections.get(i), x, tokens, inputs[i]);
    }
    return inputs;
  }

  public static void main(String[] args) {
    boolean head = args[0].equals("head");
    int threads = Integer.parseInt(args[1]);
    int rounds = Integer.parseInt(args[2]);
    LinearsBenchmark bench = new LinearsBenchmark(head);
    long chunks = Math.ceilDiv(bench.bytes, 4L << 20);
    try (Ops vector = new VectorOps(threads);
        Ops jit = JitOps.open(threads);
        MemoryRead read = new MemoryRead(bench.arena, chunks * (4L << 20), threads)) {
      for (int a = 3; a < args.length; a++) {
        int tokens = Integer.parseInt(args[a]);
        PreparedInput[] forVector = bench.inputs(vector, tokens);
        PreparedInput[] forJit = bench.inputs(jit, tokens);
        float[][] outs = new float[3][tokens * (head ? ModelShapes.QWEN3_0_6B.vocabSize() : 3072)];
        double[][] seconds = new double[3][rounds];
        for (int r = -3; r < rounds; r++) { // the first ones warm up
          long start = System.nanoTime();
          read.pass();
          double bare = (System.nanoTime() - start) / 1e9 * bench.bytes / (chunks * (4L << 20));
          double[] now = {bare, bench.pass(vector, forVector, outs), bench.pass(jit, forJit, outs)};
          for (int i = 0; i < 3 && r >= 0; i++) {
            seconds[i][r] = now[i];
          }
        }
        print(bench, tokens, seconds);
      }
    }
  }

  private static void print(LinearsBenchmark bench, int tokens, double[][] seconds) {
    String[] names = {"read", "vector", "jit"};
    for (double[] some : seconds) {
      Arrays.sort(some);
    }
    for (int i = 0; i < 3; i++) {
      double median = seconds[i][seconds[i].length / 2];
      System.out.printf(
          Locale.ROOT,
          "%4d tokens  %-6s %8.2f ms (%.2f-%.2f)  %5.1f GB/s, %5.1f %% of the read, %6.0f"
              + " GFlop/s%n",
          tokens,
          names[i],
          1e3 * median,
          1e3 * seconds[i][0],
          1e3 * seconds[i][seconds[i].length - 1],
          bench.bytes / median / 1e9,
          100 * seconds[0][seconds[0].length / 2] / median,
          i == 0 ? 0 : 2.0 * bench.weights * tokens / median / 1e9);
    }
  }
}

package io.tercel.server.cli;

import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.memory.HugePages;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.server.model.MachineLimits;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Times each kind of linear layer of a shape, and attention, alone: several copies in turn, so that
 * weights come from memory and not from a cache.
 */
final class KernelBench {
  /** Tokens that are multiplied at a time. */
  static final int[] TOKENS = {1, 2, 4, 8, 12, 32};

  /** Passes at least. */
  private static final int WARM_UP = 3;

  private final ModelConfig config;
  private final int runs;
  private final long workingSet;
  private final Duration rest;
  private final PrintWriter out;
  private final Random random = new Random(1);

  /**
   * @param workingSet bytes of the copies of one layer together, more than the caches hold
   * @param rest each line's warm-up ends when the JVM's compilers finished nothing for so long: a
   *     shape's first passes run uncompiled
   */
  KernelBench(ModelConfig config, int runs, long workingSet, Duration rest, PrintWriter out) {
    this.config = config;
    this.runs = runs;
    this.workingSet = workingSet;
    this.rest = rest;
    this.out = out;
  }

  /** Prints a line for each layer and number of tokens. */
  void run(Ops ops, MachineLimits limits, int context) {
    int h = config.hiddenSize();
    int q = config.queryDim();
    int kv = config.numKvHeads() * config.headDim();
    int f = config.intermediateSize();
    linear(ops, limits, "q k v", Grouped.W3G128, h, q, kv, kv);
    linear(ops, limits, "o", Grouped.W3G128, q, h);
    linear(ops, limits, "gate up", Grouped.W3G128, h, f, f);
    linear(ops, limits, "down", Grouped.W3G128, f, h);
    linear(ops, limits, "head", Grouped.INT8G128, h, config.vocabSize());
    linear(ops, limits, "head", Dense.BF16, h, config.vocabSize());
    for (KvType type : new KvType[] {KvType.INT4, KvType.FP16}) {
      if (type != KvType.INT4 || config.headDim() % KvLayout.WORD_DIMS == 0) {
        attention(ops, limits, type, context);
      }
    }
  }

  private void linear(
      Ops ops, MachineLimits limits, String name, QuantFormat format, int cols, int... rows) {
    try (Arena arena = Arena.ofShared()) {
      List<Projection> copies = new ArrayList<>();
      long bytes = 0;
      int most = 0;
      do {
        List<Linear> linears = new ArrayList<>();
        for (int r : rows) {
          linears.add(new Linear(matrix(arena, format, r, cols), null));
          bytes += format.bytes(r, cols);
          most = Math.max(most, r);
        }
        copies.add(new Projection(linears));
      } while (bytes < workingSet);
      long weights = Arrays.stream(rows).asLongStream().sum() * cols * copies.size();
      for (int tokens : TOKENS) {
        PreparedInput input = new PreparedInput();
        ops.prepare(copies.getFirst(), gaussians(tokens * cols), tokens, input);
        float[][] outs = new float[rows.length][tokens * most];
        double seconds =
            median(() -> copies.forEach(projection -> ops.linear(projection, input, outs)));
        String what = "%s %s, %d x %d".formatted(format.label(), name, sum(rows), cols);
        double operations = 2.0 * weights * tokens;
        double peak = format instanceof Dense || !ops.name().equals("jit") ? 0 : limits.int8() / 2;
        print(ops, what, tokens, seconds / copies.size(), bytes / seconds, limits);
        share(operations / seconds, peak, limits);
      }
    }
  }

  private static int sum(int[] rows) {
    return Arrays.stream(rows).sum();
  }

  private void attention(Ops ops, MachineLimits limits, KvType type, int context) {
    int blocks = Math.ceilDiv(context, KvLayout.BLOCK_SIZE);
    KvLayout one = new KvLayout(type, 1, config.numKvHeads(), config.headDim());
    int layers =
        (int) Math.clamp(workingSet / ((long) blocks * one.blockBytes()), 1, config.numLayers());
    KvLayout layout = new KvLayout(type, layers, config.numKvHeads(), config.headDim());
    int[] table = new int[blocks];
    Arrays.setAll(table, b -> b);
    try (KvPool pool = new KvPool(layout, blocks)) {
      pool.segment().fill((byte) 0x29);
      for (int tokens : TOKENS) {
        if (tokens > context) {
          continue;
        }
        StepBatch batch = new StepBatch();
        batch.beginSequence(table);
        for (int t = 0; t < tokens; t++) {
          batch.addToken(0, context - tokens + t);
        }
        float[] q = gaussians(tokens * config.queryDim());
        float[] y = new float[q.length];
        double seconds =
            median(
                () -> {
                  for (int layer = 0; layer < layers; layer++) {
                    ops.attention(pool, layer, batch, q, config.numHeads(), y);
                  }
                });
        double bytes = (double) context * layout.tokenBytes();
        double operations = 4.0 * context * config.queryDim() * tokens * layers;
        String what = "attention %s @%d".formatted(type.label(), context);
        print(ops, what, tokens, seconds / layers, bytes / seconds, limits);
        share(operations / seconds, 0, limits);
      }
    }
  }

  private void print(
      Ops ops, String what, int tokens, double seconds, double bandwidth, MachineLimits limits) {
    out.printf(
        Locale.ROOT,
        "%-7s%-32s%3d tok%10.3f ms%8.1f GB/s%4.0f %% of read",
        ops.name(),
        what,
        tokens,
        1e3 * seconds,
        bandwidth / 1e9,
        100 * bandwidth / limits.readBandwidth());
  }

  /**
   * @param int8 operations a second of weights by 16-bit inputs, which take two byte products each;
   *     0 if fp32 is what is used
   */
  private void share(double operations, double int8, MachineLimits limits) {
    double peak = int8 > 0 ? int8 : limits.fp32();
    out.printf(
        Locale.ROOT,
        "%7.0f Gop/s%4.0f %% of %s%n",
        operations / 1e9,
        100 * operations / peak,
        int8 > 0 ? "int8 / 2" : "fp32");
    out.flush();
  }

  private double median(Runnable work) {
    double[] seconds = new double[runs];
    CompilerRest compilers = new CompilerRest();
    for (int i = 0; i < WARM_UP || !compilers.lasts(rest); i++) {
      work.run();
    }
    for (int run = 0; run < runs; run++) {
      long start = System.nanoTime();
      work.run();
      seconds[run] = (System.nanoTime() - start) / 1e9;
    }
    Arrays.sort(seconds);
    return seconds[runs / 2];
  }

  private float[] gaussians(int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  /** Any codes, and small finite numbers wherever there are 16-bit ones. */
  private PackedMatrix matrix(Arena arena, QuantFormat format, int rows, int cols) {
    MemorySegment w = HugePages.allocate(arena, format.bytes(rows, cols));
    int unit = format instanceof Grouped grouped ? grouped.blockBytes() : Int8Block.BLOCK_BYTES;
    int scales = format instanceof Grouped grouped ? grouped.scalesOffset() : 0;
    int end = format instanceof Grouped ? scales + 2 * Int8Block.ROWS : unit;
    byte[] block = new byte[unit];
    random.nextBytes(block);
    for (int i = scales + 1; i < end; i += 2) {
      block[i] = 0x20;
    }
    if (format == Grouped.INT8G128) {
      Arrays.fill(block, end, end + Int8Block.ROWS, (byte) Int8Block.ZERO);
    } else if (format == Grouped.W3G128) {
      Arrays.fill(block, end, end + Int8Block.ROWS, (byte) 4);
    }
    for (long at = 0; at < w.byteSize(); at += unit) {
      int count = (int) Math.min(unit, w.byteSize() - at);
      MemorySegment.copy(block, 0, w, ValueLayout.JAVA_BYTE, at, count);
    }
    return new PackedMatrix("bench", w, rows, cols, format, null);
  }
}

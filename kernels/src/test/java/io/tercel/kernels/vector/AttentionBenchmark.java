package io.tercel.kernels.vector;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.StepBatch;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;

/**
 * Attention of one decoding row at a depth, on one thread, beside a bare read of as many bytes. CPU
 * time of the thread, so that a busy machine disturbs less; types alternate within a run.
 *
 * <p>Arguments: context, query heads a KV head, rows.
 */
public final class AttentionBenchmark {
  private static final int KV_HEADS = 8;
  private static final int HEAD_DIM = 128;
  private static final int LAYERS = 4;

  private AttentionBenchmark() {}

  public static void main(String[] args) {
    int context = args.length > 0 ? Integer.parseInt(args[0]) : 32_768;
    int heads = KV_HEADS * (args.length > 1 ? Integer.parseInt(args[1]) : 2);
    int rows = args.length > 2 ? Integer.parseInt(args[2]) : 1;
    int blocks = Math.ceilDiv(context, KvLayout.BLOCK_SIZE);
    int[] table = new int[blocks];
    Arrays.setAll(table, b -> b);
    StepBatch batch = new StepBatch();
    batch.beginSequence(table);
    for (int row = 0; row < rows; row++) {
      batch.addToken(0, context - rows + row);
    }
    Random random = new Random(1);
    float[] q = new float[rows * heads * HEAD_DIM];
    for (int i = 0; i < q.length; i++) {
      q[i] = (float) random.nextGaussian();
    }
    float[] out = new float[q.length];
    KvType[] types = {KvType.INT4, KvType.FP16};
    KvPool[] pools = new KvPool[types.length];
    double[] best = new double[types.length];
    Arrays.fill(best, Double.MAX_VALUE);
    try (Arena arena = Arena.ofConfined();
        VectorOps ops = new VectorOps(1)) {
      for (int i = 0; i < types.length; i++) {
        pools[i] = new KvPool(new KvLayout(types[i], LAYERS, KV_HEADS, HEAD_DIM), blocks);
        pools[i].segment().fill((byte) 0x29);
      }
      long bytes = 256L << 20;
      try (MemoryRead read = new MemoryRead(arena, bytes, 1)) {
        double reading = Double.MAX_VALUE;
        for (int run = 0; run < 25; run++) {
          reading = Math.min(reading, seconds(read::pass) / bytes);
          for (int i = 0; i < types.length; i++) {
            KvPool pool = pools[i];
            double s =
                seconds(
                    () -> {
                      for (int layer = 0; layer < LAYERS; layer++) {
                        ops.attention(pool, layer, batch, q, heads, out);
                      }
                    });
            best[i] = Math.min(best[i], s);
          }
        }
        for (int i = 0; i < types.length; i++) {
          double perByte = best[i] / ((double) pools[i].layout().tokenBytes() * context);
          System.out.printf(
              Locale.ROOT,
              "%s: %.2f ms a layer, %.2f GB/s, %.0f %% of a bare read (%.1f GB/s)%n",
              types[i].label(),
              1e3 * best[i] / LAYERS,
              1e-9 / perByte,
              100 * reading / perByte,
              1e-9 / reading);
          pools[i].close();
        }
      }
    }
  }

  private static double seconds(Runnable work) {
    var threads = ManagementFactory.getThreadMXBean();
    long start = threads.getCurrentThreadCpuTime();
    work.run();
    return (threads.getCurrentThreadCpuTime() - start) / 1e9;
  }
}

package io.tercel.kernels.vector;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.HugePages;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The matrix kernels on one thread, streaming: each call takes the next slice of a matrix far
 * larger than the second-level cache. Compare with {@link #read}, which only reads the same bytes.
 * Scores are microseconds a slice: 2^20 weights of 3 bits, 2^18 of bf16.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@State(Scope.Benchmark)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class GemvBenchmark {
  private static final int COLS = 1024;
  private static final int SLICES = 64;
  private static final int W3_TILES = 64;
  private static final int DENSE_ROWS = 256;

  @Param({"8", "32"})
  int batch;

  private final Arena arena = Arena.ofShared();
  private final Activations grouped = new Activations();
  private final Activations paired = new Activations();
  private final KernelScratch scratch = new KernelScratch();
  private final float[] y = new float[32 * COLS];
  private MemorySegment w3 = MemorySegment.NULL;
  private MemorySegment dense = MemorySegment.NULL;
  private long w3Bytes;
  private int slice;

  @Setup
  public void fill() {
    Random random = new Random(1);
    w3Bytes = W3Block.matrixBytes(W3_TILES * W3Block.ROWS, COLS);
    w3 = HugePages.allocate(arena, SLICES * w3Bytes);
    for (long at = 0; at < w3.byteSize(); at += Integer.BYTES) {
      boolean meta = at % W3Block.BLOCK_BYTES >= W3Block.SCALES_OFFSET;
      w3.set(ValueLayout.JAVA_INT, at, meta ? 0x0003_2012 : random.nextInt());
    }
    dense = HugePages.allocate(arena, SLICES * Dense.BF16.bytes(DENSE_ROWS, COLS));
    for (long at = 0; at < dense.byteSize(); at += Short.BYTES) {
      int bits = Float.floatToIntBits((float) random.nextGaussian()) >>> 16;
      dense.set(ValueLayout.JAVA_SHORT, at, (short) bits);
    }
    float[] x = new float[batch * COLS];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    grouped.prepareGrouped(x, 0, COLS, batch, COLS, null);
    DenseGemm.prepare(Dense.BF16, paired, x, 0, COLS, batch, COLS);
  }

  @TearDown
  public void free() {
    arena.close();
  }

  @Benchmark
  public long read() {
    long sum = 0;
    long from = next() * w3Bytes;
    for (long at = from; at < from + w3Bytes; at += Long.BYTES) {
      sum += w3.get(ValueLayout.JAVA_LONG, at);
    }
    return sum;
  }

  @Benchmark
  public float[] w3Gemv() {
    long at = next() * w3Bytes;
    W3Gemv.multiply(w3, at, COLS, 0, W3_TILES, grouped, 0, null, y, 0, scratch);
    return y;
  }

  @Benchmark
  public float[] w3Gemm() {
    long at = next() * w3Bytes;
    W3Gemm.multiply(w3, at, COLS, 0, W3_TILES, grouped, 0, batch, null, y, 0, COLS, scratch);
    return y;
  }

  @Benchmark
  public float[] denseGemv() {
    int row = next() * DENSE_ROWS;
    DenseGemv.multiply(
        Dense.BF16, dense, 0, row, row + DENSE_ROWS, paired, 0, null, y, -row, scratch);
    return y;
  }

  @Benchmark
  public float[] denseGemm() {
    int row = next() * DENSE_ROWS;
    DenseGemm.multiply(
        Dense.BF16,
        dense,
        0,
        row,
        row + DENSE_ROWS,
        paired,
        0,
        batch,
        null,
        y,
        -row,
        COLS,
        scratch);
    return y;
  }

  private int next() {
    slice = (slice + 1) % SLICES;
    return slice;
  }
}

package io.tercel.kernels.vector;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.HugePages;
import io.tercel.kernels.ops.PreparedInput;
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
  private final PreparedInput single = new PreparedInput();
  private final PreparedInput several = new PreparedInput();
  private final PreparedInput plainSingle = new PreparedInput();
  private final PreparedInput plainSeveral = new PreparedInput();
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
    for (long at = 0; at < w3.byteSize(); at += W3Block.BLOCK_BYTES) {
      for (int i = 0; i < W3Block.SCALES_OFFSET; i += Integer.BYTES) {
        w3.set(ValueLayout.JAVA_INT, at + i, random.nextInt());
      }
      for (int r = 0; r < W3Block.ROWS; r++) {
        W3Block.setScale(w3, at, r, (short) 0x2012, (byte) 3);
      }
    }
    dense = HugePages.allocate(arena, SLICES * Dense.BF16.bytes(DENSE_ROWS, COLS));
    for (long i = 0; i < dense.byteSize() / Short.BYTES; i++) {
      Dense.BF16.store(dense, i, (float) random.nextGaussian());
    }
    float[] x = new float[batch * COLS];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    round(x, 1, single);
    round(x, batch, several);
    plainSingle.plain(x, 1, COLS);
    DenseInput.row(plainSingle, 0);
    plainSeveral.plain(x, batch, COLS);
    for (int t = 0; t < batch; t++) {
      DenseInput.row(plainSeveral, t);
    }
  }

  private void round(float[] x, int tokens, PreparedInput input) {
    input.grouped(tokens, COLS);
    for (int t = 0; t < tokens; t++) {
      Rounding.row(x, t * COLS, null, input, t, scratch);
    }
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
    W3Gemv.multiply(w3, at, COLS, 0, W3_TILES, single, null, y, scratch);
    return y;
  }

  @Benchmark
  public float[] w3Gemm() {
    long at = next() * w3Bytes;
    W3Gemm.multiply(w3, at, COLS, 0, W3_TILES, several, null, y, scratch);
    return y;
  }

  @Benchmark
  public float[] denseGemv() {
    int row = next() * DENSE_ROWS;
    DenseGemv.multiply(
        Dense.BF16, dense, 0, row, row + DENSE_ROWS, plainSingle, null, y, -row, scratch);
    return y;
  }

  @Benchmark
  public float[] denseGemm() {
    int row = next() * DENSE_ROWS;
    DenseGemm.multiply(
        Dense.BF16, dense, 0, row, row + DENSE_ROWS, plainSeveral, null, y, -row, COLS, scratch);
    return y;
  }

  private int next() {
    slice = (slice + 1) % SLICES;
    return slice;
  }
}

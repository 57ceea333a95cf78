package io.tercel.kernels.vector;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.KvAppend;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.RopeTable;
import io.tercel.kernels.ops.StepBatch;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/**
 * The operations on the Vector API and a {@link WorkerPool}; the same bits as {@code ScalarOps} at
 * any vector width and number of threads.
 */
public final class VectorOps implements Ops {
  /** Elements of an element-wise job that are worth a claim. */
  private static final int CLAIM = 16 * 1024;

  /** Keys' elements of a claim that appends them: some microseconds. */
  private static final int APPEND_CLAIM = 512;

  private final WorkerPool pool;
  private final KernelScratch[] scratch;
  private final InputLoop inputs;
  private final LinearLoop linear;
  private final PagedAttention attention;

  /**
   * @param threads that compute, the caller's included
   */
  public VectorOps(int threads) {
    this(new WorkerPool(threads), scratch(threads));
  }

  private VectorOps(WorkerPool pool, KernelScratch[] scratch) {
    this(pool, scratch, new ArrangedRounding(scratch), List.of());
  }

  private VectorOps(
      WorkerPool pool,
      KernelScratch[] scratch,
      RowRounding rounding,
      List<? extends SplitKernel> splits) {
    this.pool = pool;
    this.scratch = scratch;
    this.inputs = new InputLoop(pool, scratch, rounding);
    this.linear = new LinearLoop(pool, scratch);
    this.attention = new PagedAttention(pool, splits);
  }

  private static KernelScratch[] scratch(int threads) {
    KernelScratch[] scratch = new KernelScratch[threads];
    Arrays.setAll(scratch, i -> new KernelScratch());
    return scratch;
  }

  /**
   * For operations whose linears of integers are their own; these here have no arrangement to read.
   *
   * @param pool closed with what this returns
   * @param splits of attention, one a worker
   */
  public static VectorOps around(
      WorkerPool pool, RowRounding rounding, List<? extends SplitKernel> splits) {
    return new VectorOps(pool, scratch(pool.size()), rounding, splits);
  }

  @Override
  public String name() {
    return "vector";
  }

  @Override
  public void embed(PackedMatrix table, StepBatch batch, float[] out) {
    int width = table.cols();
    Dense format = table.dense();
    for (int row = 0; row < batch.numTokens(); row++) {
      long first = (long) batch.tokenId(row) * width;
      for (int j = 0; j < width; j++) {
        out[row * width + j] = format.element(table.segment(), first + j);
      }
    }
  }

  @Override
  public void rmsNorm(float[] x, float[] weight, float eps, int n, float[] out) {
    int width = weight.length;
    pool.run(
        n,
        Math.ceilDiv(CLAIM, width),
        (from, to, worker) -> {
          float[] partial = new float[LaneSum.LANES];
          for (int row = from; row < to; row++) {
            NormLoop.norm(x, row * width, weight, eps, out, row * width, partial);
          }
        });
  }

  @Override
  public void prepare(Projection projection, float[] x, int n, PreparedInput input) {
    inputs.prepare(projection, x, n, input);
  }

  @Override
  public void normPrepare(
      Projection projection, float[] x, float[] weight, float eps, int n, PreparedInput input) {
    inputs.normPrepare(projection, x, weight, eps, n, input);
  }

  @Override
  public void gatePrepare(
      Projection projection, float[] gate, float[] up, int n, PreparedInput input) {
    inputs.gatePrepare(projection, gate, up, n, input);
  }

  @Override
  public void linear(Projection projection, PreparedInput input, float[][] outs) {
    linear.multiply(projection, input, outs);
  }

  @Override
  public void rope(float[] x, int heads, int headDim, RopeTable table, int n) {
    pool.run(
        n,
        Math.ceilDiv(CLAIM, heads * headDim),
        (from, to, worker) -> {
          for (int row = from; row < to; row++) {
            for (int head = 0; head < heads; head++) {
              table.rotate(x, (row * heads + head) * headDim, row);
            }
          }
        });
  }

  @Override
  public void transformHeads(float[] x, int heads, int headDim, float[] matrix, int n) {
    pool.run(
        n * heads,
        Math.ceilDiv(4 * CLAIM, headDim * headDim), // rows that share what is loaded of the matrix
        (from, to, worker) -> {
          int count = (to - from) * headDim;
          float[] y = scratch[worker].transformed(count);
          MatrixProduct.multiply(
              x, from * headDim, headDim, 1, matrix, 0, to - from, headDim, headDim, y, 0);
          System.arraycopy(y, 0, x, from * headDim, count);
        });
  }

  @Override
  public void appendKv(
      KvPool kv, int layer, StepBatch batch, float[] k, float[] v, KvTransform transform) {
    int heads = kv.layout().numKvHeads();
    int headDim = kv.layout().headDim();
    pool.run(
        batch.numTokens() * heads,
        Math.ceilDiv(APPEND_CLAIM, headDim),
        (from, to, worker) -> {
          int sequence = 0;
          for (int i = from; i < to; i++) {
            int row = i / heads;
            while (batch.queryStart(sequence + 1) <= row) {
              sequence++;
            }
            int position = batch.position(row);
            int block = batch.blockTable(sequence)[position / KvLayout.BLOCK_SIZE];
            int slot = position % KvLayout.BLOCK_SIZE;
            KvAppend.write(kv, layer, block, slot, i % heads, k, v, i * headDim, transform);
          }
        });
  }

  @Override
  public void attention(KvPool kv, int layer, StepBatch batch, float[] q, int heads, float[] out) {
    attention.attend(kv, layer, batch, q, heads, out);
  }

  @Override
  public void swiglu(float[] gate, float[] up, int count) {
    pool.run(count, CLAIM, (from, to, worker) -> GateLoop.swiglu(gate, up, from, to));
  }

  @Override
  public void add(float[] x, float[] y, int count) {
    int i = 0;
    for (; i + Lanes.COUNT <= count; i += Lanes.COUNT) {
      FloatVector sum = Lanes.load(x, i).add(Lanes.load(y, i));
      sum.intoArray(x, i);
    }
    for (; i < count; i++) {
      x[i] += y[i];
    }
  }

  @Override
  public int argMax(float[] x, int offset, int count) {
    return LogitsLoop.argMax(x, offset, count);
  }

  @Override
  public int mask(float[] x, int offset, int count, long[] allowed, float[] out) {
    return LogitsLoop.mask(x, offset, count, allowed, out);
  }

  @Override
  public double sumExp(float[] x, int offset, int count, float max) {
    return LogitsLoop.sumExp(x, offset, count, max, new float[LaneSum.LANES]);
  }

  @Override
  public void weigh(float[] x, int offset, int count, float max, float temperature, float[] out) {
    LogitsLoop.weigh(x, offset, count, max, temperature, out);
  }

  @Override
  public int atLeast(float[] x, int offset, int count, float least, int[] found) {
    return LogitsLoop.atLeast(x, offset, count, least, found);
  }

  @Override
  public void forEach(int count, Task task) {
    pool.run(
        count,
        1,
        (from, to, worker) -> {
          for (int i = from; i < to; i++) {
            task.run(i, worker);
          }
        });
  }

  @Override
  public int workers() {
    return pool.size();
  }

  @Override
  public void close() {
    pool.close();
  }
}

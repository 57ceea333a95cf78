package io.tercel.kernels.jit;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.RopeTable;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.kernels.vector.WorkerPool;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * The operations with linears, the rounding of their inputs and attention's passes over keys and
 * values in machine code that was assembled for this processor; all else is {@link VectorOps}'. The
 * same bits as {@code ScalarOps}.
 */
public final class JitOps implements Ops {
  private final VectorOps vector;
  private final LinearKernels kernels;
  private final Arena arena = Arena.ofShared();
  private final LinearJob linears;

  private JitOps(WorkerPool pool, LinearKernels kernels) {
    List<JitSplits> splits = new ArrayList<>();
    for (int i = 0; i < pool.size(); i++) {
      splits.add(new JitSplits(kernels, arena));
    }
    this.vector =
        VectorOps.around(pool, new JitRounding(kernels.rounding(), pool.size(), arena), splits);
    this.kernels = kernels;
    this.linears = new LinearJob(pool, kernels, arena);
  }

  /**
   * Assembles the kernels and tries each of them on a small layer.
   *
   * @param threads that compute, the caller's included
   * @throws BackendUnavailableException if this isn't a processor or a system for them, or a result
   *     differs from the definition's, in one line
   */
  public static JitOps open(int threads) {
    requireProcessor();
    LinearKernels kernels = new LinearKernels();
    JitOps ops = new JitOps(new WorkerPool(threads), kernels);
    try {
      SelfTest.check(ops);
      AttentionSelfTest.check(ops);
      return ops;
    } catch (RuntimeException e) {
      ops.close();
      throw e;
    }
  }

  /**
   * The instruction sets that this uses, all of which are here: {@code AVX512F}, {@code AVX512BW},
   * ...
   *
   * @throws BackendUnavailableException that says what is missing
   */
  public static List<String> requireProcessor() {
    List<String> missing = CpuId.missing();
    if (!missing.isEmpty()) {
      throw new BackendUnavailableException(
          "needs a processor with AVX-512 and VNNI; missing here: " + String.join(", ", missing));
    }
    return CpuId.instructionSets();
  }

  @Override
  public String name() {
    return "jit";
  }

  @Override
  public void linear(Projection projection, PreparedInput input, float[][] outs) {
    if (LinearJob.handles(projection)) {
      linears.run(projection, input, outs);
    } else {
      vector.linear(projection, input, outs);
    }
  }

  @Override
  public void embed(PackedMatrix table, StepBatch batch, float[] out) {
    vector.embed(table, batch, out);
  }

  @Override
  public void rmsNorm(float[] x, float[] weight, float eps, int n, float[] out) {
    vector.rmsNorm(x, weight, eps, n, out);
  }

  @Override
  public void prepare(Projection projection, float[] x, int n, PreparedInput input) {
    vector.prepare(projection, x, n, input);
  }

  @Override
  public void normPrepare(
      Projection projection, float[] x, float[] weight, float eps, int n, PreparedInput input) {
    vector.normPrepare(projection, x, weight, eps, n, input);
  }

  @Override
  public void gatePrepare(
      Projection projection, float[] gate, float[] up, int n, PreparedInput input) {
    vector.gatePrepare(projection, gate, up, n, input);
  }

  @Override
  public void rope(float[] x, int heads, int headDim, RopeTable table, int n) {
    vector.rope(x, heads, headDim, table, n);
  }

  @Override
  public void transformHeads(float[] x, int heads, int headDim, float[] matrix, int n) {
    vector.transformHeads(x, heads, headDim, matrix, n);
  }

  @Override
  public void appendKv(
      KvPool pool, int layer, StepBatch batch, float[] k, float[] v, KvTransform transform) {
    vector.appendKv(pool, layer, batch, k, v, transform);
  }

  @Override
  public void attention(
      KvPool pool, int layer, StepBatch batch, float[] q, int heads, float[] out) {
    vector.attention(pool, layer, batch, q, heads, out);
  }

  @Override
  public void swiglu(float[] gate, float[] up, int count) {
    vector.swiglu(gate, up, count);
  }

  @Override
  public void add(float[] x, float[] y, int count) {
    vector.add(x, y, count);
  }

  @Override
  public int argMax(float[] x, int offset, int count) {
    return vector.argMax(x, offset, count);
  }

  @Override
  public int mask(float[] x, int offset, int count, long[] allowed, float[] out) {
    return vector.mask(x, offset, count, allowed, out);
  }

  @Override
  public double sumExp(float[] x, int offset, int count, float max) {
    return vector.sumExp(x, offset, count, max);
  }

  @Override
  public void weigh(float[] x, int offset, int count, float max, float temperature, float[] out) {
    vector.weigh(x, offset, count, max, temperature, out);
  }

  @Override
  public int atLeast(float[] x, int offset, int count, float least, int[] found) {
    return vector.atLeast(x, offset, count, least, found);
  }

  @Override
  public void forEach(int count, Task task) {
    vector.forEach(count, task);
  }

  @Override
  public int workers() {
    return vector.workers();
  }

  /** Ends the threads, then frees the code that they ran. */
  @Override
  public void close() {
    vector.close();
    arena.close();
    kernels.close();
  }
}

package io.tercel.kernels.jit;

import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.ops.GroupedInts;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.vector.Int4Rounding;
import io.tercel.kernels.vector.KernelScratch;
import io.tercel.kernels.vector.RowRounding;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Rows of activations to integers of 16 bits by {@link RoundingCode}, of 4 bits by {@link
 * Int4Rounding}; the linears read them as they are.
 */
final class JitRounding implements RowRounding {
  private final Kernel kernel;
  private final Worker[] workers;

  /** What one thread needs: its call, and a row on its way off the heap. */
  private static final class Worker {
    final LinearCall call;
    final KernelScratch scratch = new KernelScratch();
    float[] ordered = new float[0];
    MemorySegment floats = MemorySegment.NULL;

    Worker(LinearCall call) {
      this.call = call;
    }

    /** Room for that many floats. */
    void reserve(int count) {
      if (floats.byteSize() < (long) count * Float.BYTES) {
        floats = Arena.ofAuto().allocate((long) count * Float.BYTES, Codes.VECTOR);
        ordered = new float[count];
      }
    }
  }

  /**
   * @param arena outlives the last row
   */
  JitRounding(Kernel kernel, int workers, Arena arena) {
    this.kernel = kernel;
    this.workers = new Worker[workers];
    Arrays.setAll(this.workers, i -> new Worker(new LinearCall(arena)));
  }

  @Override
  public void reserve(PreparedInput input) {}

  @Override
  public void reserveInt4(PreparedInput input) {}

  @Override
  public void int4Row(
      float[] x, int at, InputTransform transform, PreparedInput input, int token, int worker) {
    Int4Rounding.row(x, at, transform, input, token, workers[worker].scratch);
  }

  @Override
  public void row(
      float[] x, int at, int @Nullable [] order, PreparedInput input, int token, int worker) {
    Worker w = workers[worker];
    int padded = input.groups() * GroupedInts.GROUP;
    w.reserve(padded);
    float[] from = x;
    int fromAt = at;
    if (order != null) {
      for (int j = 0; j < input.cols(); j++) {
        w.ordered[j] = x[at + order[j]];
      }
      from = w.ordered;
      fromAt = 0;
    }
    MemorySegment.copy(from, fromAt, w.floats, ValueLayout.JAVA_FLOAT, 0, input.cols());
    for (int j = input.cols(); j < padded; j++) {
      w.floats.setAtIndex(ValueLayout.JAVA_FLOAT, j, 0f);
    }
    long pieces = (input.groups() - 1L) * input.tokens() + 1; // from this token's first group on
    LinearCall call = w.call;
    call.set(LinearCall.GROUPS, input.groups());
    call.point(LinearCall.INPUTS, w.floats, 0, (long) padded * Float.BYTES);
    call.point(
        LinearCall.OUTPUTS,
        input.codes(),
        input.codesOffset(token, 0),
        pieces * PreparedInput.CODE_BYTES);
    call.set(LinearCall.OUTPUT_STRIDE, (long) input.tokens() * PreparedInput.CODE_BYTES);
    call.point(
        LinearCall.FACTORS,
        input.meta(),
        input.metaOffset(token, 0),
        pieces * PreparedInput.META_BYTES);
    call.set(LinearCall.FACTOR_STRIDE, (long) input.tokens() * PreparedInput.META_BYTES);
    kernel.run(call);
  }
}

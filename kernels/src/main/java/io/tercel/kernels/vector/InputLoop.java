package io.tercel.kernels.vector;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.PreparedInput;

/** Prepares the rows of an input in parallel, alone or right behind what makes them. */
final class InputLoop {
  /** Elements that are worth a claim. */
  private static final int CLAIM = 4 * 1024;

  /** Leaves a row of inputs somewhere. */
  @FunctionalInterface
  private interface Source {
    /** Writes the row's {@code cols} floats to {@code to} from {@code at} on. */
    void write(int row, float[] to, int at);
  }

  private final WorkerPool pool;
  private final KernelScratch[] scratch;
  private final RowRounding rounding;

  InputLoop(WorkerPool pool, KernelScratch[] scratch, RowRounding rounding) {
    this.pool = pool;
    this.rounding = rounding;
    this.scratch = scratch;
  }

  void prepare(Projection projection, float[] x, int n, PreparedInput input) {
    int cols = projection.cols();
    switch (projection.input()) {
      case InputSpec.Plain _ -> {
        input.plain(x, n, cols);
        arrange(projection, input);
      }
      case InputSpec.Int16PerGroup spec -> {
        shape(n, cols, input);
        pool.run(
            n,
            Math.ceilDiv(CLAIM, cols),
            (from, to, worker) -> {
              for (int row = from; row < to; row++) {
                rounding.row(x, row * cols, spec.inputOrder(), input, row, worker);
              }
            });
      }
      case InputSpec.Int4PerToken spec -> {
        shapeInt4(n, cols, input);
        pool.run(
            n,
            Math.ceilDiv(CLAIM, cols),
            (from, to, worker) -> {
              for (int row = from; row < to; row++) {
                rounding.int4Row(x, row * cols, spec.transform(), input, row, worker);
              }
            });
      }
    }
  }

  void normPrepare(
      Projection projection, float[] x, float[] weight, float eps, int n, PreparedInput input) {
    int cols = projection.cols();
    made(
        projection,
        n,
        input,
        (row, to, at) ->
            NormLoop.norm(x, row * cols, weight, eps, to, at, new float[LaneSum.LANES]));
  }

  void gatePrepare(Projection projection, float[] gate, float[] up, int n, PreparedInput input) {
    int cols = projection.cols();
    made(
        projection,
        n,
        input,
        (row, to, at) -> GateLoop.swiglu(gate, up, row * cols, (row + 1) * cols, to, at));
  }

  /** Makes each row and prepares it while it is in the cache. */
  private void made(Projection projection, int n, PreparedInput input, Source source) {
    int cols = projection.cols();
    int claim = Math.ceilDiv(CLAIM, cols);
    switch (projection.input()) {
      case InputSpec.Plain _ -> {
        float[] values = input.plain(n, cols);
        pool.run(
            n,
            claim,
            (from, to, worker) -> {
              for (int row = from; row < to; row++) {
                source.write(row, values, row * cols);
              }
            });
        arrange(projection, input);
      }
      case InputSpec.Int16PerGroup spec -> {
        shape(n, cols, input);
        pool.run(
            n,
            claim,
            (from, to, worker) -> {
              float[] values = scratch[worker].input(cols);
              for (int row = from; row < to; row++) {
                source.write(row, values, 0);
                rounding.row(values, 0, spec.inputOrder(), input, row, worker);
              }
            });
      }
      case InputSpec.Int4PerToken spec -> {
        shapeInt4(n, cols, input);
        pool.run(
            n,
            claim,
            (from, to, worker) -> {
              float[] values = scratch[worker].input(cols);
              for (int row = from; row < to; row++) {
                source.write(row, values, 0);
                rounding.int4Row(values, 0, spec.transform(), input, row, worker);
              }
            });
      }
    }
  }

  /** Grows what the workers write to. */
  private void shape(int n, int cols, PreparedInput input) {
    input.grouped(n, cols);
    rounding.reserve(input);
  }

  private void shapeInt4(int n, int cols, PreparedInput input) {
    input.rows(n, cols);
    rounding.reserveInt4(input);
  }

  private void arrange(Projection projection, PreparedInput input) {
    boolean paired = false;
    for (Linear linear : projection.linears()) {
      paired |= linear.weight().format() != Dense.FP32;
    }
    if (!paired) {
      return;
    }
    input.arranged(DenseInput.floats(input));
    pool.run(
        input.tokens(),
        Math.ceilDiv(CLAIM, input.cols()),
        (from, to, worker) -> {
          for (int row = from; row < to; row++) {
            DenseInput.row(input, row);
          }
        });
  }
}

package io.tercel.kernels.vector;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.PreparedInput;
import org.jspecify.annotations.Nullable;

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

  /** Rounds a row of floats to the integers of an input. */
  @FunctionalInterface
  private interface Rounder {
    void row(float[] x, int at, int row, int worker);
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
    Rounder rounder = rounder(projection.input(), n, cols, input);
    if (rounder == null) {
      input.plain(x, n, cols);
      arrange(projection, input);
      return;
    }
    pool.run(
        n,
        Math.ceilDiv(CLAIM, cols),
        (from, to, worker) -> {
          for (int row = from; row < to; row++) {
            rounder.row(x, row * cols, row, worker);
          }
        });
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
    Rounder rounder = rounder(projection.input(), n, cols, input);
    if (rounder == null) {
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
      return;
    }
    pool.run(
        n,
        claim,
        (from, to, worker) -> {
          float[] values = scratch[worker].input(cols);
          for (int row = from; row < to; row++) {
            source.write(row, values, 0);
            rounder.row(values, 0, row, worker);
          }
        });
  }

  /** Shapes an input of integers, and says how its rows are rounded; null for a plain one. */
  private @Nullable Rounder rounder(InputSpec spec, int n, int cols, PreparedInput input) {
    return switch (spec) {
      case InputSpec.Plain _ -> null;
      case InputSpec.Int16PerGroup groups -> {
        input.grouped(n, cols);
        rounding.reserve(input);
        yield (x, at, row, worker) -> rounding.row(x, at, groups.inputOrder(), input, row, worker);
      }
      case InputSpec.Int4PerToken tokens -> {
        input.rows(n, cols);
        rounding.reserveInt4(input);
        yield (x, at, row, worker) ->
            rounding.int4Row(x, at, tokens.transform(), input, row, worker);
      }
    };
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

package io.tercel.kernels.tornado;

import io.tercel.kernels.tornado.Grids.Size;
import java.util.ArrayList;
import java.util.List;

/**
 * The graphs of passes of at most so many rows, of which at most as many are wanted.
 *
 * @param inputs of a pass
 * @param splits most splits of attention of a row
 * @param fixed whether their grids have that size whatever a pass has, so that they can be captured
 * @param mma whether 4-bit linears are multiplied by {@link W4MmaKernels}
 */
record Bucket(
    StepInputs inputs, int rows, int splits, boolean fixed, boolean mma, List<Integer> graphs) {
  /** From so many rows on four tokens share a work group. */
  private static final int FEW = 2;

  /**
   * Work groups for each head, of a row, up to four rows, in graphs whose grids never change:
   * enough to fill a large device, and few enough that those without a slot cost little.
   */
  private static final int SPREAD = 64;

  Bucket(StepInputs inputs, int rows, int splits, boolean fixed, boolean mma) {
    this(inputs, rows, splits, fixed, mma, new ArrayList<>());
  }

  /** Whether rows share work groups. */
  boolean several() {
    return rows >= FEW;
  }

  /** Whether its first graph begins with its input: of a single row, whose inputs are its own. */
  boolean beginsWithInput() {
    return rows == 1;
  }

  /** Work groups for each head that take a pass's slots, where that may not depend on it. */
  int groups() {
    int most = Math.min(inputs.layout().slots(), rows * splits);
    return Math.min(most, SPREAD * Math.min(rows, 4));
  }

  /** What its grids have, where they never change. */
  Size size() {
    return new Size(rows, groups(), rows);
  }
}

package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.StepBatch;
import java.util.ArrayList;
import java.util.List;

/**
 * The numbers of rows that there are graphs for, ascending. A single row has graphs for short
 * contexts and, where the model's is longer, others for long ones; all other passes have one
 * layout.
 */
final class Buckets {
  private final List<Bucket> all = new ArrayList<>();
  private final Bucket many;

  /**
   * Makes them.
   *
   * @param oneRow how passes of a single row of the longest context are laid out
   * @param manyRows how those of several rows are
   * @param captured rows of passes, ascending, that have graphs of their own, with grids that never
   *     change; there are always graphs for one row and for most
   */
  Buckets(
      ModelConfig config,
      StepLayout oneRow,
      StepLayout manyRows,
      List<Integer> captured,
      boolean cuda) {
    int splits = oneRow.slots();
    int few = W3RowKernels.MOST_SPLITS;
    boolean fixed = captured.contains(1);
    if (splits > few) {
      all.add(new Bucket(inputs(config, StepLayout.row(few)), 1, few, fixed, false));
    }
    all.add(new Bucket(inputs(config, oneRow), 1, splits, fixed, false));
    StepInputs inputs = inputs(config, manyRows);
    for (int rows : captured) {
      if (rows > 1) {
        all.add(new Bucket(inputs, rows, splits, true, cuda && rows >= W4MmaKernels.FEWEST));
      }
    }
    int most = manyRows.rows();
    if (!captured.contains(most)) {
      all.add(new Bucket(inputs, most, splits, false, cuda && most >= W4MmaKernels.FEWEST));
    }
    this.many = new Bucket(inputs, most, splits, !captured.isEmpty(), false);
  }

  private static StepInputs inputs(ModelConfig config, StepLayout step) {
    return new StepInputs(step, config.headDim(), config.ropeTheta());
  }

  List<Bucket> all() {
    return all;
  }

  /** That of a single row of a short context. */
  Bucket first() {
    return all.getFirst();
  }

  /** Of what all passes of several rows have in common. */
  Bucket many() {
    return many;
  }

  /** What holds the passes of a step. */
  StepInputs inputs(StepBatch batch) {
    if (batch.numTokens() > 1) {
      return many.inputs();
    }
    int splits = Attention.splits(batch.position(0) + 1);
    Bucket longest = first();
    for (Bucket bucket : all) {
      if (bucket.rows() == 1) {
        longest = bucket;
        if (splits <= bucket.splits()) {
          break;
        }
      }
    }
    return longest.inputs();
  }

  /** That of the pass that the inputs hold. */
  Bucket of(StepInputs inputs) {
    return all.stream()
        .filter(b -> b.inputs() == inputs && inputs.numRows() <= b.rows())
        .findFirst()
        .orElseThrow();
  }
}

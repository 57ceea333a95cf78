package io.tercel.kernels.ops;

import io.tercel.kernels.memory.KvLayout;

/** What every backend refuses in a step: ids, blocks and rows that are not there. */
public final class StepCheck {
  private StepCheck() {}

  /**
   * Checks all of it before anything is computed.
   *
   * @throws IllegalArgumentException that says what is out of range
   */
  public static void check(StepBatch batch, SamplingPlan plan, int vocab, int numBlocks) {
    for (int s = 0; s < batch.numSequences(); s++) {
      checkPositions(batch, s);
      int[] table = batch.blockTable(s);
      for (int row = batch.queryStart(s); row < batch.queryStart(s + 1); row++) {
        int id = batch.tokenId(row);
        if (id < 0 || id >= vocab) {
          throw new IllegalArgumentException(
              "token id " + id + " is outside the vocabulary of " + vocab);
        }
      }
      int last = batch.position(batch.queryStart(s + 1) - 1) / KvLayout.BLOCK_SIZE;
      if (last >= table.length) {
        throw new IllegalArgumentException(
            "a block table of " + table.length + " where " + (last + 1) + " are needed");
      }
      for (int b = 0; b <= last; b++) {
        if (table[b] < 0 || table[b] >= numBlocks) {
          throw new IllegalArgumentException(
              "block " + table[b] + " is outside the pool of " + numBlocks);
        }
      }
    }
    int before = -1;
    for (int i = 0; i < plan.size(); i++) {
      SamplingRow row = plan.get(i);
      if (row.row() < 0 || row.row() >= batch.numTokens() || row.target() >= vocab) {
        throw new IllegalArgumentException(
            "row " + row.row() + " or target " + row.target() + " is out of range");
      }
      if (row.row() <= before) {
        throw new IllegalArgumentException(
            "row " + row.row() + " of the plan comes after row " + before + "; they must rise");
      }
      before = row.row();
    }
  }

  /**
   * Rows of a sequence are at consecutive positions: attention ends each row's context at its own.
   */
  private static void checkPositions(StepBatch batch, int s) {
    int first = batch.queryStart(s);
    int end = batch.queryStart(s + 1);
    if (first == end) {
      throw new IllegalArgumentException("sequence " + s + " of the batch has no rows");
    }
    if (batch.position(first) < 0) {
      throw new IllegalArgumentException("position " + batch.position(first) + " is below 0");
    }
    for (int row = first + 1; row < end; row++) {
      if (batch.position(row) != batch.position(row - 1) + 1) {
        throw new IllegalArgumentException(
            "position %d of row %d follows position %d; they must be consecutive"
                .formatted(batch.position(row), row, batch.position(row - 1)));
      }
    }
  }
}

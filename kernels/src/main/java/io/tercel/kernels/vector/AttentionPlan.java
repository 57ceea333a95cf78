package io.tercel.kernels.vector;

import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.StepBatch;
import java.util.Arrays;

/**
 * How one step's attention is cut into tasks; the same for all layers. A sequence with few rows is
 * cut by splits of its context, whose results are joined afterwards, so that one long sequence uses
 * all cores. One with many rows (prefill) is cut by tiles of rows, each of which walks the splits
 * in order and joins as it goes. Both ways do the same arithmetic.
 *
 * <p>What waits to be joined takes memory: 64 streams of 32k tokens with 32 heads of 128 would keep
 * 128 MiB. So there is a bound, {@link Attention#PARTIAL_BYTES}. Sequences beyond it, which are
 * many or long and therefore tasks enough for all cores, walk their splits like tiles.
 */
final class AttentionPlan {
  /** Sequences with at most so many rows are cut by splits. */
  static final int FEW_ROWS = 4;

  /** Rows of a tile. */
  static final int TILE = 32;

  /** Tasks for each worker that are enough to share work evenly. */
  private static final int TASKS_A_WORKER = 8;

  /**
   * Values of a task: sequence, KV heads, rows, each from and to, split (or -1 for all of them).
   */
  private static final int FIELDS = 6;

  private static final int NO_PARTIALS = -1;

  private int[] tasks = new int[64 * FIELDS];
  private int numTasks;
  private int[] partialStart = new int[64];
  private int numPartials;

  /**
   * Partial results that {@link Attention#PARTIAL_BYTES} hold, each a maximum, a sum and its
   * values.
   */
  static int mostPartials(int headDim) {
    return Attention.PARTIAL_BYTES / (Float.BYTES * (headDim + 2));
  }

  /**
   * Lays out the tasks of a batch.
   *
   * @param mostPartials partial results there is room for
   */
  void layOut(StepBatch batch, int kvHeads, int heads, int workers, int mostPartials) {
    numTasks = 0;
    numPartials = 0;
    if (partialStart.length < batch.numTokens()) {
      partialStart = new int[2 * batch.numTokens()];
    }
    int together = headsTogether(batch, kvHeads, workers);
    for (int s = 0; s < batch.numSequences(); s++) {
      int from = batch.queryStart(s);
      int to = batch.queryStart(s + 1);
      if (to - from <= FEW_ROWS && reserve(batch, from, to, heads, mostPartials)) {
        bySplits(batch, s, from, to, kvHeads, together);
      } else {
        byTiles(s, from, to, kvHeads);
      }
    }
  }

  /** Gives rows their partial results; false, and none of them any, where the room is too small. */
  private boolean reserve(StepBatch batch, int from, int to, int heads, int mostPartials) {
    long next = numPartials;
    for (int row = from; row < to; row++) {
      next += (long) heads * Attention.splits(batch.position(row) + 1);
    }
    boolean fits = next <= mostPartials;
    for (int row = from; row < to; row++) {
      partialStart[row] = fits ? numPartials : NO_PARTIALS;
      numPartials += fits ? heads * Attention.splits(batch.position(row) + 1) : 0;
    }
    return fits;
  }

  /**
   * KV heads that a task of one split takes: as many as leave enough tasks, since heads of a block
   * lie side by side.
   */
  private static int headsTogether(StepBatch batch, int kvHeads, int workers) {
    long splits = 0;
    for (int s = 0; s < batch.numSequences(); s++) {
      int to = batch.queryStart(s + 1);
      if (to - batch.queryStart(s) <= FEW_ROWS) {
        splits += Attention.splits(batch.position(to - 1) + 1);
      }
    }
    int together = kvHeads;
    while (together > 1
        && splits * Math.ceilDiv(kvHeads, together) < (long) TASKS_A_WORKER * workers) {
      together = Math.ceilDiv(together, 2);
    }
    return together;
  }

  private void bySplits(StepBatch batch, int s, int from, int to, int kvHeads, int together) {
    int splits = Attention.splits(batch.position(to - 1) + 1);
    for (int split = 0; split < splits; split++) {
      for (int head = 0; head < kvHeads; head += together) {
        add(s, head, Math.min(kvHeads, head + together), from, to, split);
      }
    }
  }

  private void byTiles(int s, int from, int to, int kvHeads) {
    // the last tiles have the longest contexts: they go first, so that none is left running alone
    for (int tile = from + (to - from - 1) / TILE * TILE; tile >= from; tile -= TILE) {
      for (int head = 0; head < kvHeads; head++) {
        add(s, head, head + 1, tile, Math.min(to, tile + TILE), -1);
      }
    }
  }

  private void add(int s, int head, int endHead, int from, int to, int split) {
    int at = numTasks * FIELDS;
    if (at == tasks.length) {
      tasks = Arrays.copyOf(tasks, 2 * at);
    }
    tasks[at] = s;
    tasks[at + 1] = head;
    tasks[at + 2] = endHead;
    tasks[at + 3] = from;
    tasks[at + 4] = to;
    tasks[at + 5] = split;
    numTasks++;
  }

  int numTasks() {
    return numTasks;
  }

  int sequence(int task) {
    return tasks[task * FIELDS];
  }

  int fromHead(int task) {
    return tasks[task * FIELDS + 1];
  }

  int toHead(int task) {
    return tasks[task * FIELDS + 2];
  }

  int fromRow(int task) {
    return tasks[task * FIELDS + 3];
  }

  int toRow(int task) {
    return tasks[task * FIELDS + 4];
  }

  int split(int task) {
    return tasks[task * FIELDS + 5];
  }

  /** Partial results, each a maximum, a sum and headDim values. */
  int numPartials() {
    return numPartials;
  }

  /** Whether a row of few is cut by splits, and so has partial results. */
  boolean hasPartials(int row) {
    return partialStart[row] != NO_PARTIALS;
  }

  /** First partial of a row: [heads][splits] of them. */
  int partialStart(int row) {
    return partialStart[row];
  }
}

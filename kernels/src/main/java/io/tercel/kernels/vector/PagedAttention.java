package io.tercel.kernels.vector;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.EightSum;
import io.tercel.kernels.ops.StepBatch;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Attention of a whole batch over the paged cache: lays out tasks, runs splits, joins results. */
final class PagedAttention {
  /** Heads of a row whose splits are joined in one claim. */
  private static final int JOIN_CLAIM = 4;

  private final WorkerPool pool;
  private final AttentionPlan plan = new AttentionPlan();
  private final Worker[] workers;
  private final int mostPartials;
  private float[] querySums = new float[0];
  private float[] partialMax = new float[0];
  private float[] partialSum = new float[0];
  private float[] partialOut = new float[0];

  /** What one thread needs. */
  private static final class Worker {
    final SplitAttention split;
    final float[] joined = new float[2];
    float[] stats = new float[0];
    float[] running = new float[0];

    Worker(@Nullable SplitKernel kernel) {
      split = new SplitAttention(kernel);
    }

    void reserve(int headDim, int slots) {
      if (running.length < slots * headDim || stats.length < 2 * slots) {
        stats = new float[2 * slots];
        running = new float[slots * headDim];
      }
    }
  }

  /**
   * @param kernels one a worker, or none
   */
  PagedAttention(WorkerPool pool, List<? extends SplitKernel> kernels) {
    this(pool, kernels, Integer.MAX_VALUE);
  }

  /**
   * @param mostPartials for tests: room for fewer partial results than there is
   */
  PagedAttention(WorkerPool pool, List<? extends SplitKernel> kernels, int mostPartials) {
    this.pool = pool;
    this.mostPartials = mostPartials;
    this.workers = new Worker[pool.size()];
    Arrays.setAll(workers, i -> new Worker(kernels.isEmpty() ? null : kernels.get(i)));
  }

  void attend(KvPool kv, int layer, StepBatch batch, float[] q, int heads, float[] out) {
    KvLayout layout = kv.layout();
    int headDim = layout.headDim();
    int most = Math.min(mostPartials, AttentionPlan.mostPartials(headDim));
    plan.layOut(batch, layout.numKvHeads(), heads, pool.size(), most);
    if (partialMax.length < plan.numPartials()) {
      partialMax = new float[plan.numPartials()];
      partialSum = new float[plan.numPartials()];
    }
    if (partialOut.length < plan.numPartials() * headDim) {
      partialOut = new float[plan.numPartials() * headDim];
    }
    if (layout.type() == KvType.INT4) {
      sumQueries(q, batch.numTokens() * heads, headDim);
    }
    pool.run(
        plan.numTasks(),
        1,
        (from, to, worker) -> {
          for (int task = from; task < to; task++) {
            if (plan.split(task) >= 0) {
              oneSplit(task, workers[worker], kv, layer, batch, q, heads, out);
            } else {
              allSplits(task, workers[worker], kv, layer, batch, q, heads, out);
            }
          }
        });
    joinSplits(batch, headDim, heads, out);
  }

  private void sumQueries(float[] q, int count, int headDim) {
    if (querySums.length < count) {
      querySums = new float[count];
    }
    for (int i = 0; i < count; i++) {
      querySums[i] = EightSum.of(q, i * headDim, headDim);
    }
  }

  private void oneSplit(
      int task,
      Worker w,
      KvPool kv,
      int layer,
      StepBatch batch,
      float[] q,
      int heads,
      float[] out) {
    int headDim = kv.layout().headDim();
    int group = heads / kv.layout().numKvHeads();
    int split = plan.split(task);
    SplitAttention s = w.split;
    s.attend(
        kv,
        layer,
        batch.blockTable(plan.sequence(task)),
        split,
        plan.fromHead(task),
        plan.toHead(task),
        batch,
        plan.fromRow(task),
        plan.toRow(task),
        q,
        heads,
        querySums);
    int slot = 0;
    for (int head = plan.fromHead(task); head < plan.toHead(task); head++) {
      for (int row = s.firstRow(); row < plan.toRow(task); row++) {
        int splits = Attention.splits(batch.position(row) + 1);
        for (int g = 0; g < group; g++) {
          if (splits == 1) { // nothing to join
            int at = (row * heads + head * group + g) * headDim;
            Attention.finish(s.sum(slot), s.outs(), slot * s.stride(), out, at, headDim);
            slot++;
            continue;
          }
          int partial = plan.partialStart(row) + (head * group + g) * splits + split;
          partialMax[partial] = s.max(slot);
          partialSum[partial] = s.sum(slot);
          System.arraycopy(s.outs(), slot * s.stride(), partialOut, partial * headDim, headDim);
          slot++;
        }
      }
    }
  }

  /** A tile of rows walks the splits in order. */
  private void allSplits(
      int task,
      Worker w,
      KvPool kv,
      int layer,
      StepBatch batch,
      float[] q,
      int heads,
      float[] out) {
    int headDim = kv.layout().headDim();
    int group = heads / kv.layout().numKvHeads();
    int head = plan.fromHead(task);
    int firstRow = plan.fromRow(task);
    int endRow = plan.toRow(task);
    w.reserve(headDim, (endRow - firstRow) * group);
    SplitAttention s = w.split;
    for (int split = 0; split < Attention.splits(batch.position(endRow - 1) + 1); split++) {
      s.attend(
          kv,
          layer,
          batch.blockTable(plan.sequence(task)),
          split,
          head,
          head + 1,
          batch,
          firstRow,
          endRow,
          q,
          heads,
          querySums);
      int skipped = (s.firstRow() - firstRow) * group;
      for (int i = 0; i < s.perHead(); i++) {
        advance(w, split, i, skipped + i, headDim);
      }
    }
    for (int i = 0; i < (endRow - firstRow) * group; i++) {
      int at = ((firstRow + i / group) * heads + head * group + i % group) * headDim;
      Attention.finish(w.stats[2 * i + 1], w.running, i * headDim, out, at, headDim);
    }
  }

  private static void advance(Worker w, int split, int slot, int to, int headDim) {
    SplitAttention s = w.split;
    int at = slot * s.stride();
    if (split == 0) {
      w.stats[2 * to] = s.max(slot);
      w.stats[2 * to + 1] = s.sum(slot);
      System.arraycopy(s.outs(), at, w.running, to * headDim, headDim);
    } else {
      Attention.join(
          w.stats,
          2 * to,
          w.running,
          to * headDim,
          s.max(slot),
          s.sum(slot),
          s.outs(),
          at,
          headDim);
    }
  }

  private void joinSplits(StepBatch batch, int headDim, int heads, float[] out) {
    for (int s = 0; s < batch.numSequences(); s++) {
      int first = batch.queryStart(s);
      int rows = batch.queryStart(s + 1) - first;
      // rows ascend: where the last one sees one split, all do
      boolean joined = Attention.splits(batch.position(first + rows - 1) + 1) > 1;
      if (rows <= AttentionPlan.FEW_ROWS && plan.hasPartials(first) && joined) {
        pool.run(
            rows * heads,
            JOIN_CLAIM,
            (from, to, worker) -> {
              for (int i = from; i < to; i++) {
                int row = first + i / heads;
                int splits = Attention.splits(batch.position(row) + 1);
                if (splits > 1) {
                  join(row, i % heads, splits, headDim, heads, workers[worker].joined, out);
                }
              }
            });
      }
    }
  }

  private void join(
      int row, int head, int splits, int headDim, int heads, float[] stats, float[] out) {
    int first = plan.partialStart(row) + head * splits;
    stats[0] = partialMax[first];
    stats[1] = partialSum[first];
    for (int p = first + 1; p < first + splits; p++) {
      Attention.join(
          stats,
          0,
          partialOut,
          first * headDim,
          partialMax[p],
          partialSum[p],
          partialOut,
          p * headDim,
          headDim);
    }
    Attention.finish(
        stats[1], partialOut, first * headDim, out, (row * heads + head) * headDim, headDim);
  }
}

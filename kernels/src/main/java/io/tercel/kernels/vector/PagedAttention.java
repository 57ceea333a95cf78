package io.tercel.kernels.vector;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.StepBatch;
import java.util.Arrays;

/**
 * Attention of a whole batch over the paged cache: lays out tasks, unpacks splits, joins results.
 */
final class PagedAttention {
  private final WorkerPool pool;
  private final AttentionPlan plan = new AttentionPlan();
  private final Scratch[] scratch;
  private float[] partialMax = new float[0];
  private float[] partialSum = new float[0];
  private float[] partialOut = new float[0];

  /** What one worker unpacks into. */
  private static final class Scratch {
    float[] keys = new float[0];
    float[] values = new float[0];
    float[] running = new float[0];
    float[] stats = new float[0];
    final float[] scores = new float[Attention.SPLIT];
    final float[] partial = new float[16];
    final float[] joined = new float[2];
    final float[] nextMax = new float[1];
    final float[] nextSum = new float[1];
    float[] next = new float[0];

    void reserve(int headDim, int group) {
      int rows = AttentionPlan.TILE * group;
      if (next.length < headDim) {
        keys = new float[Attention.SPLIT * headDim];
        values = new float[Attention.SPLIT * headDim];
        next = new float[headDim];
      }
      if (running.length < rows * headDim) {
        running = new float[rows * headDim];
      }
      if (stats.length < 2 * rows) { // more heads that are narrower
        stats = new float[2 * rows];
      }
    }
  }

  PagedAttention(WorkerPool pool) {
    this.pool = pool;
    this.scratch = new Scratch[pool.size()];
    Arrays.setAll(scratch, i -> new Scratch());
  }

  void attend(KvPool kv, int layer, StepBatch batch, float[] q, int heads, float[] out) {
    int kvHeads = kv.layout().numKvHeads();
    int headDim = kv.layout().headDim();
    plan.layOut(batch, kvHeads, heads);
    if (partialMax.length < plan.numPartials()) {
      partialMax = new float[plan.numPartials()];
      partialSum = new float[plan.numPartials()];
    }
    if (partialOut.length < plan.numPartials() * headDim) {
      partialOut = new float[plan.numPartials() * headDim];
    }
    for (Scratch s : scratch) {
      s.reserve(headDim, heads / kvHeads);
    }
    pool.run(
        plan.numTasks(),
        1,
        (from, to, worker) -> {
          for (int task = from; task < to; task++) {
            runTask(task, scratch[worker], kv, layer, batch, q, heads, out);
          }
        });
    joinSplits(batch, headDim, heads, out);
  }

  private void runTask(
      int task,
      Scratch s,
      KvPool kv,
      int layer,
      StepBatch batch,
      float[] q,
      int heads,
      float[] out) {
    if (plan.split(task) >= 0) {
      oneSplit(task, s, kv, layer, batch, q, heads);
    } else {
      allSplits(task, s, kv, layer, batch, q, heads, out);
    }
  }

  private void oneSplit(
      int task, Scratch s, KvPool kv, int layer, StepBatch batch, float[] q, int heads) {
    int headDim = kv.layout().headDim();
    int group = heads / kv.layout().numKvHeads();
    int split = plan.split(task);
    int begin = split * Attention.SPLIT;
    int lastRow = plan.toRow(task) - 1;
    int tokens = Math.min(Attention.SPLIT, batch.position(lastRow) + 1 - begin);
    unpack(s, kv, layer, batch.blockTable(plan.sequence(task)), plan.kvHead(task), split, tokens);
    for (int row = plan.fromRow(task); row <= lastRow; row++) {
      int n = Math.min(Attention.SPLIT, batch.position(row) + 1 - begin);
      if (n <= 0) {
        continue;
      }
      int splits = Attention.splits(batch.position(row) + 1);
      for (int g = 0; g < group; g++) {
        int head = plan.kvHead(task) * group + g;
        int partial = plan.partialStart(row) + head * splits + split;
        AttentionLoop.split(
            q,
            (row * heads + head) * headDim,
            s.keys,
            s.values,
            n,
            headDim,
            Attention.scale(headDim),
            s.scores,
            s.partial,
            partialMax,
            partialSum,
            partial,
            partialOut,
            partial * headDim);
      }
    }
  }

  /** A tile of rows walks the splits in order. */
  private void allSplits(
      int task,
      Scratch s,
      KvPool kv,
      int layer,
      StepBatch batch,
      float[] q,
      int heads,
      float[] out) {
    int headDim = kv.layout().headDim();
    int group = heads / kv.layout().numKvHeads();
    int firstRow = plan.fromRow(task);
    int lastRow = plan.toRow(task) - 1;
    int context = batch.position(lastRow) + 1;
    int[] table = batch.blockTable(plan.sequence(task));
    for (int split = 0; split < Attention.splits(context); split++) {
      int begin = split * Attention.SPLIT;
      int tokens = Math.min(Attention.SPLIT, context - begin);
      unpack(s, kv, layer, table, plan.kvHead(task), split, tokens);
      for (int row = firstRow; row <= lastRow; row++) {
        int n = Math.min(Attention.SPLIT, batch.position(row) + 1 - begin);
        for (int g = 0; g < group && n > 0; g++) {
          int head = plan.kvHead(task) * group + g;
          int slot = (row - firstRow) * group + g;
          advance(s, split, slot, q, (row * heads + head) * headDim, n, headDim);
        }
      }
    }
    for (int row = firstRow; row <= lastRow; row++) {
      for (int g = 0; g < group; g++) {
        int head = plan.kvHead(task) * group + g;
        int slot = (row - firstRow) * group + g;
        Attention.finish(
            s.stats[2 * slot + 1],
            s.running,
            slot * headDim,
            out,
            (row * heads + head) * headDim,
            headDim);
      }
    }
  }

  private static void advance(
      Scratch s, int split, int slot, float[] q, int qAt, int n, int headDim) {
    AttentionLoop.split(
        q,
        qAt,
        s.keys,
        s.values,
        n,
        headDim,
        Attention.scale(headDim),
        s.scores,
        s.partial,
        s.nextMax,
        s.nextSum,
        0,
        s.next,
        0);
    if (split == 0) {
      s.stats[2 * slot] = s.nextMax[0];
      s.stats[2 * slot + 1] = s.nextSum[0];
      System.arraycopy(s.next, 0, s.running, slot * headDim, headDim);
      return;
    }
    Attention.join(
        s.stats,
        2 * slot,
        s.running,
        slot * headDim,
        s.nextMax[0],
        s.nextSum[0],
        s.next,
        0,
        headDim);
  }

  private void joinSplits(StepBatch batch, int headDim, int heads, float[] out) {
    for (int s = 0; s < batch.numSequences(); s++) {
      int from = batch.queryStart(s);
      int to = batch.queryStart(s + 1);
      if (to - from > AttentionPlan.FEW_ROWS) {
        continue;
      }
      for (int row = from; row < to; row++) {
        joinRow(row, Attention.splits(batch.position(row) + 1), headDim, heads, out);
      }
    }
  }

  private void joinRow(int row, int splits, int headDim, int heads, float[] out) {
    float[] stats = scratch[0].joined;
    for (int head = 0; head < heads; head++) {
      int first = plan.partialStart(row) + head * splits;
      stats[0] = partialMax[first];
      stats[1] = partialSum[first];
      for (int split = 1; split < splits; split++) {
        int p = first + split;
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

  private static void unpack(
      Scratch s, KvPool kv, int layer, int[] table, int head, int split, int tokens) {
    KvLayout layout = kv.layout();
    int headDim = layout.headDim();
    int perBlock = KvLayout.BLOCK_SIZE * headDim;
    int blocks = Math.ceilDiv(tokens, KvLayout.BLOCK_SIZE);
    for (int b = 0; b < blocks; b++) {
      int block = table[split * Attention.SPLIT_BLOCKS + b];
      int used = Math.min(KvLayout.BLOCK_SIZE, tokens - b * KvLayout.BLOCK_SIZE);
      KvUnpack.unpack(
          layout.type(),
          kv.segment(),
          kv.keyOffset(layer, block, head),
          perBlock,
          s.keys,
          b * perBlock);
      KvUnpack.unpack(
          layout.type(),
          kv.segment(),
          kv.valueOffset(layer, block, head),
          used * headDim,
          s.values,
          b * perBlock);
    }
  }
}

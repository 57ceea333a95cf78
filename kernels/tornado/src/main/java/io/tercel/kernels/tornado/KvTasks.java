package io.tercel.kernels.tornado;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Adds the tasks that write and read keys and values to task graphs.
 *
 * @param rows of the passes, at most
 */
record KvTasks(
    KernelContext context,
    StepInputs inputs,
    FloatArray powers,
    Grids grids,
    KvLayout layout,
    int rows) {
  /** Rows from which on four heads share keys and values: there are work groups enough then. */
  private static final int MANY = 8;

  /** Widest head: an item for each of its dims. */
  static final int MAX_HEAD_DIM = AttentionKernels.LOCAL;

  /**
   * The heads of a row of q, k and v, and what lies in the image's floats for them.
   *
   * @param rotated whether they are rotated
   * @param qNormAt weights of q's norm, or -1
   * @param kNormAt weights of k's norm, or -1
   */
  record Heads(
      int heads,
      boolean rotated,
      int qNormAt,
      int kNormAt,
      float eps,
      KvTransformPlace transform) {}

  /**
   * Query heads of a work group, which share the reading and unpacking of keys and values. For a
   * single row of a short context there are fewer work groups than a large device has
   * multiprocessors (64 for two heads of a 4B at 1,024 tokens, of 132), and each takes the longer
   * the more heads it has; for many rows and for long contexts there are enough.
   */
  private int each(int heads) {
    int group = heads / layout.numKvHeads();
    boolean single = rows == 1 && inputs.layout().slots() <= W3RowKernels.MOST_SPLITS;
    if (single || group % 2 != 0 || layout.headDim() > 128) {
      return 1;
    }
    return rows >= MANY && group % 4 == 0 ? 4 : 2;
  }

  private int keyInts() {
    return Math.toIntExact(layout.keyBytes() / Integer.BYTES);
  }

  private int valueInts() {
    return Math.toIntExact(layout.valueBytes() / Integer.BYTES);
  }

  /** Norms, rotates and transforms heads of q and k, and writes k and v to the cache. */
  void heads(
      TaskGraph graph, String task, DeviceKv kv, FloatArray p, FloatArray rope, Rows x, Heads h) {
    StepLayout step = inputs.layout();
    switch (kv) {
      case DeviceKv.Floats floats ->
          graph.task(
              task,
              HeadKernels::single,
              context,
              inputs.ints(),
              powers,
              floats.array(),
              p,
              rope,
              x.array(),
              step.rows(),
              h.heads(),
              layout.numKvHeads(),
              layout.headDim(),
              x.stride(),
              h.qNormAt(),
              h.kNormAt(),
              h.eps(),
              h.rotated() ? 1 : 0,
              h.transform().queryAt(),
              h.transform().keyAt());
      case DeviceKv.Ints ints ->
          graph.task(
              task,
              HeadKernels::packed,
              context,
              inputs.ints(),
              powers,
              ints.array(),
              p,
              rope,
              x.array(),
              step.rows(),
              h.heads(),
              layout.numKvHeads(),
              layout.headDim(),
              x.stride(),
              h.qNormAt(),
              h.kNormAt(),
              h.eps(),
              h.rotated() ? 1 : 0,
              h.transform().queryAt(),
              h.transform().keyAt(),
              layout.type() == KvType.FP16 ? 16 : 4,
              h.transform().clipAt());
    }
    String name = graph.getTaskGraphName() + "." + task;
    int groups = h.heads() + 2 * layout.numKvHeads();
    grids.add(name, Grids.Axis.ROWS, groups, HeadKernels.LOCAL, 1);
  }

  /**
   * Attention of q, from 0 in a row of x, by splits; {@link Source.Joined} is what they give.
   *
   * @param part [slots][heads][headDim + 2]
   */
  void attend(TaskGraph graph, String task, DeviceKv kv, Rows x, FloatArray part, int heads) {
    StepLayout step = inputs.layout();
    float scale = Attention.scale(layout.headDim());
    switch (kv) {
      case DeviceKv.Floats floats ->
          graph.task(
              task,
              AttentionKernels::single,
              context,
              inputs.ints(),
              powers,
              floats.array(),
              x.array(),
              part,
              step.rows(),
              step.slots(),
              heads,
              layout.numKvHeads(),
              layout.headDim(),
              x.stride(),
              scale,
              each(heads));
      case DeviceKv.Ints ints when layout.type() == KvType.FP16 ->
          graph.task(
              task,
              AttentionKernels::sixteen,
              context,
              inputs.ints(),
              powers,
              ints.array(),
              x.array(),
              part,
              step.rows(),
              step.slots(),
              heads,
              layout.numKvHeads(),
              layout.headDim(),
              x.stride(),
              scale,
              each(heads));
      case DeviceKv.Ints ints ->
          graph.task(
              task,
              Int4AttentionKernels::fourBits,
              context,
              inputs.ints(),
              powers,
              ints.array(),
              x.array(),
              part,
              step.rows(),
              step.slots(),
              heads,
              layout.numKvHeads(),
              layout.headDim(),
              x.stride(),
              scale,
              each(heads),
              keyInts(),
              valueInts());
    }
    String name = graph.getTaskGraphName() + "." + task;
    grids.add(name, Grids.Axis.SLOTS, heads / each(heads), AttentionKernels.LOCAL, 1);
  }
}

package io.tercel.kernels.tornado;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Adds the tasks that write and read keys and values to task graphs. */
record KvTasks(
    KernelContext context, StepInputs inputs, FloatArray powers, Grids grids, KvLayout layout) {
  /** Widest head: an item for each of its dims. */
  static final int MAX_HEAD_DIM = AttentionKernels.LOCAL;

  private int keyInts() {
    return Math.toIntExact(layout.keyBytes() / Integer.BYTES);
  }

  private int valueInts() {
    return Math.toIntExact(layout.valueBytes() / Integer.BYTES);
  }

  /**
   * Writes keys, from kAt in a row, and values, from vAt.
   *
   * @param p holds clips, which 4 bits mind, from clipAt on, unless that is below 0
   */
  void append(
      TaskGraph graph,
      String task,
      DeviceKv kv,
      FloatArray p,
      int clipAt,
      Rows x,
      int kAt,
      int vAt) {
    StepLayout step = inputs.layout();
    switch (kv) {
      case DeviceKv.Floats floats ->
          graph.task(
              task,
              KvKernels::single,
              context,
              inputs.ints(),
              floats.array(),
              x.array(),
              step.rows(),
              step.slots(),
              layout.numKvHeads(),
              layout.headDim(),
              x.stride(),
              kAt,
              vAt);
      case DeviceKv.Ints ints when layout.type() == KvType.FP16 ->
          graph.task(
              task,
              KvKernels::sixteen,
              context,
              inputs.ints(),
              powers,
              ints.array(),
              x.array(),
              step.rows(),
              step.slots(),
              layout.numKvHeads(),
              layout.headDim(),
              x.stride(),
              kAt,
              vAt);
      case DeviceKv.Ints ints ->
          graph.task(
              task,
              KvKernels::fourBits,
              context,
              inputs.ints(),
              powers,
              ints.array(),
              p,
              x.array(),
              step.rows(),
              step.slots(),
              layout.numKvHeads(),
              layout.headDim(),
              x.stride(),
              kAt,
              vAt,
              clipAt,
              keyInts(),
              valueInts());
    }
    String name = graph.getTaskGraphName() + "." + task;
    grids.add(name, Grids.Axis.ROWS, 2 * layout.numKvHeads(), KvKernels.LOCAL, 1);
  }

  /**
   * Attention of q, from 0 in a row of x, split and joined.
   *
   * @param part [slots][heads][headDim + 2]
   */
  void attend(
      TaskGraph graph, String task, DeviceKv kv, Rows x, FloatArray part, Rows y, int heads) {
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
              scale);
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
              scale);
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
              keyInts(),
              valueInts());
    }
    String name = graph.getTaskGraphName() + "." + task;
    grids.add(name, Grids.Axis.SLOTS, heads, AttentionKernels.LOCAL, 1);
    graph.task(
        task + "Join",
        AttentionKernels::join,
        context,
        inputs.ints(),
        powers,
        part,
        y.array(),
        step.rows(),
        heads,
        layout.headDim(),
        y.stride());
    grids.add(name + "Join", Grids.Axis.ROWS, heads, AttentionKernels.JOIN_LOCAL, 1);
  }
}

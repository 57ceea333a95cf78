package io.tercel.kernels.tornado;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Adds the tasks that treat rows one by one to task graphs; see {@link RowKernels}. */
record RowTasks(KernelContext context, IntArray step, FloatArray powers, Grids grids) {

  /**
   * The heads of a row of q, k and v.
   *
   * @param kvHeads heads of k that are to be normed and rotated
   * @param kAt where k begins in a row
   * @param qNormAt weights of q's norm, or -1
   * @param kNormAt weights of k's norm, or -1
   */
  record Heads(int heads, int kvHeads, int headDim, int kAt, int qNormAt, int kNormAt, float eps) {}

  void embed(TaskGraph graph, MatrixStack table, WeightImage image, Rows y) {
    int cols = table.cols();
    if (table.format() == Dense.FP32) {
      graph.task(
          "embed",
          RowKernels::embedSingle,
          context,
          step,
          image.floats(),
          y.array(),
          StepLayout.tokens(),
          cols,
          y.stride());
    } else {
      graph.task(
          "embed",
          RowKernels::embedSixteen,
          context,
          step,
          powers,
          image.ints(),
          y.array(),
          StepLayout.tokens(),
          table.format() == Dense.BF16 ? 1 : 0,
          cols,
          y.stride());
    }
    grid(graph, "embed", Math.ceilDiv(cols, RowKernels.LOCAL));
  }

  void norm(
      TaskGraph graph, String task, FloatArray p, int at, int width, float eps, Rows x, Rows y) {
    graph.task(
        task,
        RowKernels::norm,
        context,
        step,
        p,
        x.array(),
        y.array(),
        -1,
        at,
        width,
        x.stride(),
        y.stride(),
        eps);
    grid(graph, task, 1);
  }

  /**
   * Norms the rows whose numbers lie from {@code selectAt} on in the ints, and gathers them; their
   * count is the ints' first.
   */
  void normSelected(
      TaskGraph graph,
      String task,
      FloatArray p,
      int at,
      int width,
      float eps,
      int selectAt,
      Rows x,
      Rows y) {
    graph.task(
        task,
        RowKernels::norm,
        context,
        step,
        p,
        x.array(),
        y.array(),
        selectAt,
        at,
        width,
        x.stride(),
        y.stride(),
        eps);
    grids.add(graph.getTaskGraphName() + "." + task, Grids.Axis.WANTED, 1, RowKernels.LOCAL, 1);
  }

  void heads(TaskGraph graph, String task, FloatArray p, FloatArray rope, Rows x, Heads h) {
    graph.task(
        task,
        HeadKernels::normAndRotate,
        context,
        step,
        p,
        rope,
        x.array(),
        h.heads(),
        h.headDim(),
        x.stride(),
        h.kAt(),
        h.qNormAt(),
        h.kNormAt(),
        h.eps());
    grid(graph, task, h.heads() + h.kvHeads());
  }

  /** Multiplies the heads of q and k by their matrices, which lie in p, in place. */
  void transformHeads(
      TaskGraph graph, String task, FloatArray p, KvTransformPlace place, Rows x, Heads h) {
    graph.task(
        task,
        TransformKernels::heads,
        context,
        step,
        p,
        x.array(),
        h.heads(),
        h.headDim(),
        x.stride(),
        h.kAt(),
        place.queryAt(),
        place.keyAt());
    grids.add(
        graph.getTaskGraphName() + "." + task,
        Grids.Axis.ROWS,
        h.heads() + h.kvHeads(),
        TransformKernels.LOCAL,
        1);
  }

  /** y = silu(x[0 .. width)) * x[upAt .. upAt + width). */
  void swiglu(TaskGraph graph, String task, int width, int upAt, Rows x, Rows y) {
    graph.task(
        task,
        RowKernels::swiglu,
        context,
        step,
        powers,
        x.array(),
        y.array(),
        width,
        upAt,
        x.stride(),
        y.stride());
    grid(graph, task, Math.ceilDiv(y.stride(), RowKernels.LOCAL));
  }

  private void grid(TaskGraph graph, String task, int groups) {
    grids.add(graph.getTaskGraphName() + "." + task, Grids.Axis.ROWS, groups, RowKernels.LOCAL, 1);
  }
}

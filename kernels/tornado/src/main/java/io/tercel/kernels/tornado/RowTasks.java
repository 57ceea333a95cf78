package io.tercel.kernels.tornado;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Adds the tasks that treat rows one by one to task graphs; see {@link RowKernels}. */
record RowTasks(KernelContext context, IntArray step, FloatArray powers, Grids grids) {

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
          table.at(),
          cols,
          y.stride());
    } else {
      graph.task(
          "embed",
          RowKernels::embedSixteen,
          context,
          step,
          powers,
          image.longs(),
          y.array(),
          StepLayout.tokens(),
          table.format() == Dense.BF16 ? 1 : 0,
          table.at(),
          cols,
          y.stride());
    }
    int groups = Math.ceilDiv(cols, RowKernels.LOCAL);
    grid(graph, "embed", Grids.Axis.ROWS, groups, RowKernels.LOCAL);
  }

  /** Writes what a source makes to y, padded with zeros; nothing where it is rows already. */
  void write(
      TaskGraph graph,
      String task,
      Source source,
      WeightImage image,
      int width,
      Rows y,
      Grids.Axis axis) {
    switch (source) {
      case Source.Given _ -> {}
      case Source.Normed n -> {
        graph.task(
            task,
            RowKernels::rmsNorm,
            context,
            step,
            image.floats(),
            n.x().array(),
            y.array(),
            n.selectAt(),
            n.weightAt(),
            width,
            n.x().stride(),
            y.stride(),
            n.eps());
        grid(graph, task, axis, 1, RowKernels.LOCAL);
      }
      case Source.Gated(Rows x, int upAt) -> {
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
        int groups = Math.ceilDiv(y.stride(), RowKernels.LOCAL);
        grid(graph, task, axis, groups, RowKernels.LOCAL);
      }
      case Source.Joined j -> {
        graph.task(
            task,
            AttentionKernels::join,
            context,
            step,
            powers,
            j.part(),
            y.array(),
            j.rows(),
            j.heads(),
            j.headDim(),
            y.stride());
        grid(graph, task, axis, j.heads(), AttentionKernels.JOIN_LOCAL);
      }
    }
  }

  private void grid(TaskGraph graph, String task, Grids.Axis axis, int groups, int local) {
    grids.add(graph.getTaskGraphName() + "." + task, axis, groups, local, 1);
  }
}

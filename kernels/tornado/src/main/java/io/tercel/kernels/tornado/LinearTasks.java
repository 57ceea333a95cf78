package io.tercel.kernels.tornado;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Adds the tasks of linear layers to task graphs.
 *
 * @param step the step's ints; see {@link StepLayout}
 * @param powers see {@link Powers}
 * @param four whether a work group takes four tokens, or one
 */
record LinearTasks(
    KernelContext context, IntArray step, FloatArray powers, Grids grids, boolean four) {

  /** Rows of activations: the column where they begin, and their distance. */
  record Rows(FloatArray array, int at, int stride) {
    Rows(FloatArray array, int stride) {
      this(array, 0, stride);
    }
  }

  /** Floats that a row of so many inputs takes: whole groups, so that kernels need no bounds. */
  static int stride(int cols) {
    return W3Block.groups(cols) * W3Block.GROUP;
  }

  /**
   * y = W x + b.
   *
   * @param gathered for the input order, if there is one: as wide as x
   * @param axis rows of the pass, or rows that are wanted
   * @param add whether y is added to
   */
  void add(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rows x,
      FloatArray gathered,
      Rows y,
      Grids.Axis axis,
      boolean add) {
    Rows input = x;
    String graphName = graph.getTaskGraphName();
    if (stack.orderAt() >= 0) {
      input = new Rows(gathered, x.stride());
      graph.task(
          task + "Order",
          RowKernels::gather,
          context,
          step,
          image.ints(),
          x.array(),
          gathered,
          stack.orderAt(),
          stack.cols(),
          x.stride(),
          x.stride());
      int groups = Math.ceilDiv(x.stride(), RowKernels.LOCAL);
      grids.add(graphName + "." + task + "Order", axis, groups, RowKernels.LOCAL, 1);
    }
    switch (stack.format()) {
      case Grouped.W3G128 -> w3(graph, task, stack, image, input, y, add);
      case Dense.FP32 -> single(graph, task, stack, image, input, y, add);
      case Dense.FP16, Dense.BF16 -> sixteen(graph, task, stack, image, input, y, add);
    }
    int tiles = stack.rows() / MatrixStack.TILE;
    boolean one = !four || stack.format() == Dense.FP32;
    grids.add(graphName + "." + task, axis, tiles, W3Kernels.LOCAL, one ? 1 : W3Kernels.TOKENS);
  }

  private void w3(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rows x,
      Rows y,
      boolean add) {
    int groups = W3Block.groups(stack.cols());
    if (four) {
      graph.task(
          task,
          W3Kernels::four,
          context,
          step,
          powers,
          image.ints(),
          image.floats(),
          x.array(),
          y.array(),
          stack.at(),
          groups,
          x.stride(),
          y.at(),
          y.stride(),
          stack.biasAt(),
          add ? 1 : 0);
    } else {
      graph.task(
          task,
          W3Kernels::one,
          context,
          step,
          powers,
          image.ints(),
          image.floats(),
          x.array(),
          y.array(),
          stack.at(),
          groups,
          x.stride(),
          y.at(),
          y.stride(),
          stack.biasAt(),
          add ? 1 : 0);
    }
  }

  private void sixteen(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rows x,
      Rows y,
      boolean add) {
    int bf = stack.format() == Dense.BF16 ? 1 : 0;
    if (four) {
      graph.task(
          task,
          DenseKernels::sixteen4,
          context,
          step,
          powers,
          image.ints(),
          image.floats(),
          x.array(),
          y.array(),
          bf,
          stack.at(),
          stack.cols(),
          x.stride(),
          y.at(),
          y.stride(),
          stack.biasAt(),
          add ? 1 : 0);
    } else {
      graph.task(
          task,
          DenseKernels::sixteen,
          context,
          step,
          powers,
          image.ints(),
          image.floats(),
          x.array(),
          y.array(),
          bf,
          stack.at(),
          stack.cols(),
          x.stride(),
          y.at(),
          y.stride(),
          stack.biasAt(),
          add ? 1 : 0);
    }
  }

  private void single(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rows x,
      Rows y,
      boolean add) {
    graph.task(
        task,
        DenseKernels::single,
        context,
        step,
        image.floats(),
        x.array(),
        y.array(),
        stack.at(),
        stack.cols(),
        x.stride(),
        y.at(),
        y.stride(),
        stack.biasAt(),
        add ? 1 : 0);
  }
}

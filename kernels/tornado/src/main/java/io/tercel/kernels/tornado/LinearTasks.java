package io.tercel.kernels.tornado;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import java.util.List;
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

  /**
   * Activations as integers; see {@link GroupedIntKernels}.
   *
   * @param codes [rows]: codes, then sums
   * @param scales [rows][groups]
   */
  record Rounded(IntArray codes, FloatArray scales) {
    /** Room for so many rows of so many inputs. */
    static Rounded of(int rows, int cols) {
      int groups = W3Block.groups(cols);
      IntArray codes = new IntArray(Math.multiplyExact(rows, GroupedIntKernels.rowInts(groups)));
      codes.init(0);
      FloatArray scales = new FloatArray(rows * groups);
      scales.init(0f);
      return new Rounded(codes, scales);
    }
  }

  /** Floats that a row of so many inputs takes: whole groups. */
  static int stride(int cols) {
    return W3Block.groups(cols) * W3Block.GROUP;
  }

  /**
   * y = W x + b for all that read x, one below the other in y's columns. Where they are 3-bit x is
   * rounded, once for neighbours that read it in the same order.
   *
   * @param rounded for that: as wide as x
   * @param axis rows of the pass, or rows that are wanted
   * @param add whether y is added to
   */
  void project(
      TaskGraph graph,
      String task,
      List<MatrixStack> stacks,
      WeightImage image,
      Rows x,
      Rounded rounded,
      Rows y,
      Grids.Axis axis,
      boolean add) {
    int at = y.at();
    for (int i = 0; i < stacks.size(); i++) {
      MatrixStack stack = stacks.get(i);
      String name = stacks.size() == 1 ? task : task + i;
      boolean asBefore = i > 0 && stacks.get(i - 1).input().equals(stack.input());
      if (stack.format() == Grouped.W3G128 && !asBefore) {
        round(graph, name + "Ints", stack, image, x, rounded, axis);
      }
      linear(graph, name, stack, image, x, rounded, new Rows(y.array(), at, y.stride()), axis, add);
      at += stack.rows();
    }
  }

  /** Makes integers of x, in the order of the stack's columns. */
  void round(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rows x,
      Rounded rounded,
      Grids.Axis axis) {
    int groups = W3Block.groups(stack.cols());
    graph.task(
        task,
        GroupedIntKernels::grouped,
        context,
        step,
        image.ints(),
        x.array(),
        rounded.codes(),
        rounded.scales(),
        stack.orderAt(),
        stack.cols(),
        groups,
        x.stride());
    String name = graph.getTaskGraphName() + "." + task;
    grids.add(name, axis, groups, GroupedIntKernels.LOCAL, 1);
  }

  /** y = W x + b, where a 3-bit W finds its input rounded. */
  void linear(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rows x,
      Rounded rounded,
      Rows y,
      Grids.Axis axis,
      boolean add) {
    switch (stack.format()) {
      case Grouped.W3G128 -> w3(graph, task, stack, image, rounded, y, add);
      case Grouped.INT8G128, PerRow.W4A4 -> throw MatrixStack.noKernel(stack.format());
      case Dense.FP32 -> single(graph, task, stack, image, x, y, add);
      case Dense.FP16, Dense.BF16 -> sixteen(graph, task, stack, image, x, y, add);
    }
    int tiles = stack.rows() / MatrixStack.TILE;
    boolean one = !four || stack.format() == Dense.FP32;
    String name = graph.getTaskGraphName() + "." + task;
    grids.add(name, axis, tiles, W3Kernels.LOCAL, one ? 1 : W3Kernels.TOKENS);
  }

  private void w3(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rounded x,
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
          x.codes(),
          x.scales(),
          y.array(),
          stack.at(),
          groups,
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
          x.codes(),
          x.scales(),
          y.array(),
          stack.at(),
          groups,
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

package io.tercel.kernels.tornado;

import io.tercel.kernels.tornado.LinearTasks.Rounded;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Adds the tasks of 4-bit linear layers to task graphs; see {@link LinearTasks}, whose they are.
 */
record W4Tasks(
    KernelContext context,
    IntArray step,
    FloatArray powers,
    Grids grids,
    boolean four,
    boolean cuda) {

  /**
   * Transforms what the source makes, and makes integers of it.
   *
   * @param floats room for the source's rows, where there is no left factor
   */
  void prepare(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Source source,
      Rows floats,
      Rounded rounded,
      Grids.Axis axis) {
    TransformPlace transform = stack.transform();
    int cols = stack.cols();
    int m = transform.rows();
    Rows in = source instanceof Source.Given(Rows x) ? x : floats;
    if (transform.leftAt() >= 0) {
      left(graph, task + "Left", stack, image, source, rounded.halfway(), axis);
      in = new Rows(rounded.halfway(), cols);
    } else {
      new RowTasks(context, step, powers, grids)
          .write(graph, task + "Rows", source, image, cols, floats, axis);
    }
    if (transform.rightAt() >= 0) {
      graph.task(
          task + "Right",
          TransformKernels::right,
          context,
          step,
          image.floats(),
          in.array(),
          rounded.transformed(),
          transform.rightAt(),
          cols / m,
          cols,
          in.stride());
      int groups = Math.ceilDiv(cols, TransformKernels.LOCAL);
      grid(graph, task + "Right", axis, groups, TransformKernels.LOCAL);
      in = new Rows(rounded.transformed(), cols);
    }
    graph.task(
        task,
        RowIntKernels::rounded,
        context,
        step,
        powers,
        image.floats(),
        in.array(),
        rounded.codes(),
        rounded.scales(),
        transform.clipAt(),
        cols,
        RowIntKernels.words(cols),
        in.stride());
    grid(graph, task, axis, 1, RowIntKernels.LOCAL);
  }

  private void left(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Source source,
      FloatArray y,
      Grids.Axis axis) {
    Source.Numbers from = source.numbers();
    int size = stack.transform().rows();
    int inner = stack.cols() / size;
    int width = TransformKernels.width(size);
    graph.task(
        task,
        TransformKernels::left,
        context,
        step,
        powers,
        image.floats(),
        from.x(),
        y,
        from.source(),
        stack.transform().leftAt(),
        size,
        inner,
        width,
        from.xStride(),
        from.at(),
        from.more(),
        from.headDim(),
        from.eps());
    grid(graph, task, axis, Math.ceilDiv(inner, width), TransformKernels.LOCAL);
  }

  private void grid(TaskGraph graph, String task, Grids.Axis axis, int groups, int local) {
    grids.add(graph.getTaskGraphName() + "." + task, axis, groups, local, 1);
  }

  /** The same as {@link #linear}, of many rows on a CUDA device. */
  void multiply(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rounded x,
      Rows y,
      Grids.Axis axis,
      boolean add) {
    int tiles = stack.rows() / MatrixStack.TILE;
    int shares = W4MmaKernels.shares(stack.rows(), stack.cols());
    graph.task(
        task + "Products",
        W4MmaKernels::products,
        context,
        image.longs(),
        x.codes(),
        x.sums(),
        stack.at() / 2,
        stack.cols(),
        tiles,
        shares,
        TornadoBackend.ROWS);
    String name = graph.getTaskGraphName() + "." + task;
    int groups = shares * W4MmaKernels.pairs(stack.rows());
    grids.add(name + "Products", axis, groups, W4MmaKernels.WARP, W4MmaKernels.TOKENS);
    graph.task(
        task,
        W4MmaKernels::finish,
        context,
        step,
        powers,
        image.longs(),
        image.floats(),
        x.codes(),
        x.scales(),
        x.sums(),
        y.array(),
        stack.at() / 2,
        stack.cols(),
        tiles,
        shares,
        TornadoBackend.ROWS,
        y.at(),
        y.stride(),
        stack.biasAt(),
        add ? 1 : 0);
    int outputs = Math.ceilDiv(stack.rows(), W4MmaKernels.LOCAL);
    grids.add(name, axis, outputs, W4MmaKernels.LOCAL, W4MmaKernels.FINISHED);
  }

  /** y = W x + b, where x is prepared. */
  void linear(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rounded x,
      Rows y,
      boolean add) {
    graph.task(
        task,
        four
            ? cuda ? W4Dp4aKernels::four : W4Kernels::four
            : cuda ? W4Dp4aKernels::one : W4Kernels::one,
        context,
        step,
        powers,
        image.longs(),
        image.floats(),
        x.codes(),
        x.scales(),
        y.array(),
        stack.at() / 2,
        stack.cols(),
        y.at(),
        y.stride(),
        stack.biasAt(),
        add ? 1 : 0);
  }
}

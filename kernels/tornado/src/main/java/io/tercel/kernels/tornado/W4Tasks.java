package io.tercel.kernels.tornado;

import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.tornado.LinearTasks.Rounded;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Adds the tasks of 4-bit linear layers to task graphs; see {@link LinearTasks}, whose they are.
 */
record W4Tasks(KernelContext context, IntArray step, FloatArray powers, Grids grids, boolean four) {

  /** Transforms x and makes integers of it. */
  void prepare(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rows x,
      Rounded rounded,
      Grids.Axis axis) {
    TransformPlace transform = stack.transform();
    int cols = stack.cols();
    int m = transform.rows();
    Rows in = x;
    if (transform.leftAt() >= 0) {
      Rows out = new Rows(rounded.halfway(), cols);
      product(graph, task + "Left", image, transform.leftAt(), m, cols / m, cols, in, out, axis);
      in = out;
    }
    if (transform.rightAt() >= 0) {
      Rows out = new Rows(rounded.transformed(), cols);
      product(graph, task + "Right", image, transform.rightAt(), cols / m, 1, cols, in, out, axis);
      in = out;
    }
    graph.task(
        task,
        RowIntKernels::rounded,
        context,
        step,
        image.floats(),
        in.array(),
        rounded.codes(),
        rounded.scales(),
        transform.clipAt(),
        cols,
        W4Tile.blocks(cols),
        in.stride());
    grids.add(graph.getTaskGraphName() + "." + task, axis, 1, RowIntKernels.LOCAL, 1);
  }

  private void product(
      TaskGraph graph,
      String task,
      WeightImage image,
      int matrixAt,
      int size,
      int inner,
      int cols,
      Rows x,
      Rows y,
      Grids.Axis axis) {
    graph.task(
        task,
        TransformKernels::product,
        context,
        step,
        image.floats(),
        x.array(),
        y.array(),
        matrixAt,
        size,
        inner,
        cols,
        x.stride(),
        y.stride());
    int groups = Math.ceilDiv(cols, TransformKernels.LOCAL);
    grids.add(graph.getTaskGraphName() + "." + task, axis, groups, TransformKernels.LOCAL, 1);
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
    if (four) {
      graph.task(
          task,
          W4Kernels::four,
          context,
          step,
          powers,
          image.ints(),
          image.floats(),
          x.codes(),
          x.scales(),
          y.array(),
          stack.at(),
          stack.cols(),
          y.at(),
          y.stride(),
          stack.biasAt(),
          add ? 1 : 0);
    } else {
      graph.task(
          task,
          W4Kernels::one,
          context,
          step,
          powers,
          image.ints(),
          image.floats(),
          x.codes(),
          x.scales(),
          y.array(),
          stack.at(),
          stack.cols(),
          y.at(),
          y.stride(),
          stack.biasAt(),
          add ? 1 : 0);
    }
  }
}

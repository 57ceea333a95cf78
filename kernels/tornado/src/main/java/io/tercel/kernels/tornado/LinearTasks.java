package io.tercel.kernels.tornado;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.InputSpec;
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
 * @param cuda whether it is a CUDA device, which has {@link FourBytes#dp4a} and bf16
 * @param mma whether 4-bit ones are multiplied by {@link W4MmaKernels}
 */
record LinearTasks(
    KernelContext context,
    IntArray step,
    FloatArray powers,
    Grids grids,
    boolean four,
    boolean cuda,
    boolean mma) {

  /** Rows of activations: the column where they begin, and their distance. */
  record Rows(FloatArray array, int at, int stride) {
    Rows(FloatArray array, int stride) {
      this(array, 0, stride);
    }
  }

  /**
   * Activations as integers; see {@link GroupedIntKernels} and, of 4 bits, {@link RowIntKernels}.
   *
   * @param codes [rows]: codes, then sums
   * @param scales [rows][groups], or [rows]
   * @param halfway [rows][columns]: rows that are to be 4 bits, times the left factor of their
   *     transform
   * @param transformed [rows][columns]: times both
   * @param sums what {@link W4MmaKernels} leaves between its kernels, where it is used
   */
  record Rounded(
      IntArray codes,
      FloatArray scales,
      FloatArray halfway,
      FloatArray transformed,
      IntArray sums) {
    /** Room for so many rows of so many inputs, which no transform comes before. */
    static Rounded of(int rows, int cols) {
      return of(rows, cols, false, 0);
    }

    /** Room for so many rows of so many inputs, and for so many sums. */
    static Rounded of(int rows, int cols, boolean transformed, int sums) {
      int groups = W3Block.groups(cols);
      int padded = padded(rows);
      int ints = Math.max(GroupedIntKernels.rowInts(groups), RowIntKernels.rowInts(cols));
      IntArray codes = new IntArray(Math.multiplyExact(padded, ints));
      codes.init(0);
      FloatArray scales = new FloatArray(padded * groups);
      scales.init(0f);
      int room = transformed ? Math.multiplyExact(padded, cols) : 0;
      IntArray between = new IntArray(Math.max(1, sums));
      between.init(0);
      return new Rounded(codes, scales, zeros(room), zeros(room), between);
    }

    /** Rows of whole work groups: kernels read them before they know how many there are. */
    static int padded(int rows) {
      return Math.ceilDiv(rows, W3Kernels.TOKENS) * W3Kernels.TOKENS;
    }

    private static FloatArray zeros(int count) {
      FloatArray zeros = new FloatArray(Math.max(1, count));
      zeros.init(0f);
      return zeros;
    }

    /** All floats that kernels pass on to others. */
    List<FloatArray> floats() {
      boolean none = transformed.getSize() == 1;
      return none ? List.of(scales) : List.of(scales, halfway, transformed);
    }
  }

  /** Floats that a row of so many inputs takes: whole groups. */
  static int stride(int cols) {
    return W3Block.groups(cols) * W3Block.GROUP;
  }

  /**
   * y = W x + b for all that read what the source makes, one below the other in y's columns. Where
   * they are 3-bit or 4-bit it is rounded, once for neighbours that want it alike.
   *
   * @param floats room for the source's rows, where they stay floats
   * @param rounded for those that don't
   * @param axis rows of the pass, or rows that are wanted
   * @param add whether y is added to
   */
  void project(
      TaskGraph graph,
      String task,
      List<MatrixStack> stacks,
      WeightImage image,
      Source source,
      Rows floats,
      Rounded rounded,
      Rows y,
      Grids.Axis axis,
      boolean add) {
    int at = y.at();
    Rows x = source instanceof Source.Given(Rows given) ? given : floats;
    InputSpec prepared = null; // what floats or rounded hold
    for (int i = 0; i < stacks.size(); i++) {
      MatrixStack stack = stacks.get(i);
      String name = stacks.size() == 1 ? task : task + i;
      Rows to = new Rows(y.array(), at, y.stride());
      at += stack.rows();
      if (!four && OwnInputs.makes(stack, source)) {
        int items = OwnInputs.items(stack);
        IntArray none = rounded.codes();
        one(graph, name, stack, image, source.numbers(), items, none, to, add);
        grids.add(graph.getTaskGraphName() + "." + name, axis, tiles(stack), items, 1);
        continue;
      }
      if (!stack.input().equals(prepared)) {
        prepare(graph, name + "In", stack, image, source, floats, rounded, axis);
        prepared = stack.input();
      }
      linear(graph, name, stack, image, x, rounded, to, axis, add);
    }
  }

  /** Makes of the source what the stack wants as its input. */
  void prepare(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Source source,
      Rows floats,
      Rounded rounded,
      Grids.Axis axis) {
    switch (stack.input()) {
      case InputSpec.Plain _ ->
          new RowTasks(context, step, powers, grids)
              .write(graph, task, source, image, stack.cols(), floats, axis);
      case InputSpec.Int16PerGroup _ -> round(graph, task, stack, image, source, rounded, axis);
      case InputSpec.Int4PerToken _ ->
          w4().prepare(graph, task, stack, image, source, floats, rounded, axis);
    }
  }

  private W4Tasks w4() {
    return new W4Tasks(context, step, powers, grids, four, cuda);
  }

  /** Makes integers of what the source makes, in the order of the stack's columns. */
  private void round(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Source source,
      Rounded rounded,
      Grids.Axis axis) {
    int groups = W3Block.groups(stack.cols());
    Source.Numbers from = source.numbers();
    graph.task(
        task,
        GroupedIntKernels::grouped,
        context,
        step,
        powers,
        image.longs(),
        image.floats(),
        from.x(),
        rounded.codes(),
        rounded.scales(),
        from.source(),
        stack.orderAt(),
        stack.cols(),
        groups,
        from.xStride(),
        from.at(),
        from.more(),
        from.headDim(),
        from.eps());
    String name = graph.getTaskGraphName() + "." + task;
    grids.add(name, axis, groups, GroupedIntKernels.LOCAL, 1);
  }

  /** y = W x + b, where a 3-bit or a 4-bit W finds its input rounded. */
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
    if (mma && stack.format() == PerRow.W4A4) {
      w4().multiply(graph, task, stack, image, rounded, y, axis, add);
      return;
    }
    switch (stack.format()) {
      case Grouped.W3G128 -> w3(graph, task, stack, image, rounded, y, add);
      case PerRow.W4A4 -> w4().linear(graph, task, stack, image, rounded, y, add);
      case Grouped.INT8G128 -> throw MatrixStack.noKernel(stack.format());
      case Dense.FP32 -> single(graph, task, stack, image, x, y, add);
      case Dense.FP16, Dense.BF16 -> sixteen(graph, task, stack, image, x, y, add);
    }
    boolean alone = !four || stack.format() == Dense.FP32;
    String name = graph.getTaskGraphName() + "." + task;
    grids.add(name, axis, tiles(stack), items(stack), alone ? 1 : W3Kernels.TOKENS);
  }

  private static int tiles(MatrixStack stack) {
    return stack.rows() / MatrixStack.TILE;
  }

  /** Work items of a group. */
  private int items(MatrixStack stack) {
    return switch (stack.format()) {
      case Grouped.W3G128 -> slices(stack) * W3Kernels.LANES;
      case PerRow.W4A4 -> W4Kernels.LOCAL;
      case Dense.FP16, Dense.BF16 -> DenseKernels.PAIRS;
      case Dense.FP32 -> DenseKernels.LOCAL;
      case Grouped.INT8G128 -> throw MatrixStack.noKernel(stack.format());
    };
  }

  private int slices(MatrixStack stack) {
    int groups = W3Block.groups(stack.cols());
    return four ? W3Kernels.slicesOfFour(groups) : W3RowKernels.slices(groups);
  }

  private void w3(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rounded x,
      Rows y,
      boolean add) {
    if (!four) {
      Source.Numbers rounded =
          new Source.Numbers(x.scales(), W3RowKernels.ROUNDED, 0, 0, -1, 1, 0f);
      one(graph, task, stack, image, rounded, items(stack), x.codes(), y, add);
      return;
    }
    graph.task(
        task,
        cuda ? W3Dp4aKernels::four : W3Kernels::four,
        context,
        step,
        powers,
        image.longs(),
        image.floats(),
        x.codes(),
        x.scales(),
        y.array(),
        stack.at() / 2,
        W3Block.groups(stack.cols()),
        y.at(),
        y.stride(),
        stack.biasAt(),
        add ? 1 : 0,
        slices(stack));
  }

  /**
   * One token a work group, 3-bit weights.
   *
   * @param from what the kernel makes its input of, or the scales of one that is rounded already
   * @param codes of an input that is rounded already
   */
  private void one(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Source.Numbers from,
      int items,
      IntArray codes,
      Rows y,
      boolean add) {
    graph.task(
        task,
        cuda ? W3Dp4aRowKernels::one : W3RowKernels::one,
        context,
        step,
        powers,
        image.longs(),
        image.floats(),
        codes,
        from.x(),
        y.array(),
        stack.at() / 2,
        stack.cols(),
        y.at(),
        y.stride(),
        stack.biasAt(),
        add ? 1 : 0,
        items / W3Kernels.LANES,
        from.source(),
        from.xStride(),
        from.at(),
        from.headDim(),
        from.eps());
  }

  private void sixteen(
      TaskGraph graph,
      String task,
      MatrixStack stack,
      WeightImage image,
      Rows x,
      Rows y,
      boolean add) {
    int bf = stack.format() != Dense.BF16 ? 0 : cuda ? DenseKernels.CUDA_BF16 : 1;
    if (four) {
      graph.task(
          task,
          DenseKernels::sixteen4,
          context,
          step,
          powers,
          image.longs(),
          image.floats(),
          x.array(),
          y.array(),
          bf,
          stack.at() / 2,
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
          image.longs(),
          image.floats(),
          x.array(),
          y.array(),
          bf,
          stack.at() / 2,
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

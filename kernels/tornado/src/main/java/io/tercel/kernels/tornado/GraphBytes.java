package io.tercel.kernels.tornado;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.InputSpec;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntBinaryOperator;

/**
 * What tasks take of the bytes that TornadoVM has for those of a graph, to the byte.
 *
 * @param four whether linear layers take four tokens a work group
 * @param mma whether 4-bit ones are multiplied by {@link W4MmaKernels}
 */
record GraphBytes(boolean four, boolean mma) {
  /** Bytes of a graph. */
  static final int MOST = 8192;

  /** Bytes of each task, and of each of its arguments. */
  private static final int TASK = 15;

  private static final int ARGUMENT = 5;

  /** What a kernel's task takes. */
  static int task(Class<?> kernels, String name) {
    List<Method> found =
        Arrays.stream(kernels.getDeclaredMethods()).filter(m -> m.getName().equals(name)).toList();
    if (found.size() != 1) {
      throw new IllegalArgumentException(kernels + " has " + found.size() + " of " + name);
    }
    return TASK + ARGUMENT * found.getFirst().getParameterCount();
  }

  /**
   * Where graphs begin that hold layers [from, to), as few as can and of equal lengths, and then
   * {@code to}.
   *
   * @param bytes what the layers from one to another take
   * @throws IllegalStateException where a layer does not fit into a graph
   */
  static List<Integer> parts(int from, int to, IntBinaryOperator bytes) {
    for (int count = 1; count <= to - from; count++) {
      List<Integer> starts = new ArrayList<>();
      boolean fit = true;
      for (int i = 0; i <= count; i++) {
        starts.add(from + i * (to - from) / count);
        fit &= i == 0 || bytes.applyAsInt(starts.get(i - 1), starts.get(i)) <= MOST;
      }
      if (fit) {
        return starts;
      }
    }
    throw new IllegalStateException("a layer has too many tasks for a graph");
  }

  /** What {@link LayerTasks} adds. */
  int layer(LayerImage w, LayerTasks.Sources sources, DeviceKv cache, boolean fourBits) {
    boolean floats = cache instanceof DeviceKv.Floats;
    int heads = task(HeadKernels.class, floats ? "single" : "packed");
    int attend =
        fourBits
            ? task(Int4AttentionKernels.class, "fourBits")
            : task(AttentionKernels.class, floats ? "single" : "sixteen");
    return heads
        + attend
        + linears(w.qkv(), sources.in())
        + linears(List.of(w.o()), sources.attended())
        + linears(w.gateUp(), sources.between())
        + linears(List.of(w.down()), sources.gated());
  }

  /** What {@link LayerPlan} adds for a pass's input. */
  static int input(MatrixStack embedding) {
    boolean floats = embedding.format() == Dense.FP32;
    return task(RowKernels.class, floats ? "embedSingle" : "embedSixteen")
        + task(RowKernels.class, "touch");
  }

  /** What it adds for final norm, head and sampling. */
  int head(MatrixStack head, Source last) {
    return linears(List.of(head), last)
        + task(SamplingKernels.class, "argMax")
        + task(SamplingKernels.class, "sums")
        + task(DrawKernels.class, "pick");
  }

  /** What {@link LinearTasks#project} adds. */
  private int linears(List<MatrixStack> stacks, Source source) {
    int bytes = 0;
    InputSpec prepared = null;
    for (MatrixStack stack : stacks) {
      boolean own = !four && OwnInputs.makes(stack, source);
      if (!own && !stack.input().equals(prepared)) {
        bytes += prepare(stack, source);
        prepared = stack.input();
      }
      bytes += linear(stack);
    }
    return bytes;
  }

  private int linear(MatrixStack stack) {
    return switch (stack.format()) {
      case Grouped.W3G128 -> four ? task(W3Kernels.class, "four") : task(W3RowKernels.class, "one");
      case PerRow.W4A4 ->
          mma
              ? task(W4MmaKernels.class, "products") + task(W4MmaKernels.class, "finish")
              : task(W4Kernels.class, four ? "four" : "one");
      case Grouped.INT8G128 -> throw MatrixStack.noKernel(stack.format());
      case Dense.FP32 -> task(DenseKernels.class, "single");
      case Dense.FP16, Dense.BF16 -> task(DenseKernels.class, four ? "sixteen4" : "sixteen");
    };
  }

  private static int prepare(MatrixStack stack, Source source) {
    return switch (stack.input()) {
      case InputSpec.Plain _ -> write(source);
      case InputSpec.Int16PerGroup _ -> task(GroupedIntKernels.class, "grouped");
      case InputSpec.Int4PerToken _ -> {
        TransformPlace transform = stack.transform();
        int left = transform.leftAt() >= 0 ? task(TransformKernels.class, "left") : write(source);
        int right = transform.rightAt() >= 0 ? task(TransformKernels.class, "right") : 0;
        yield left + right + task(RowIntKernels.class, "rounded");
      }
    };
  }

  private static int write(Source source) {
    return switch (source) {
      case Source.Given _ -> 0;
      case Source.Normed _ -> task(RowKernels.class, "rmsNorm");
      case Source.Gated _ -> task(RowKernels.class, "swiglu");
      case Source.Joined _ -> task(AttentionKernels.class, "join");
    };
  }
}

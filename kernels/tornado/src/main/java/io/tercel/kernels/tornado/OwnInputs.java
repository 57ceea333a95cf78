package io.tercel.kernels.tornado;

import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;

/**
 * Which linear layers of a single row make and round their input themselves, each work group all of
 * it again, instead of another kernel before them. That kernel costs 1.7 to 2.2 µs of a GPU by
 * docs/gpu-code.md, most of it waiting. Repeating it costs some 800 instructions a warp, 0.9 µs for
 * each thousand warps, and for splits of attention the second level of the cache each of them as
 * often as there are work groups, 0.1 µs a split for 64 groups. So it pays for narrow models: all
 * four inputs of Qwen3-0.6B's layers, at most two of a 4B's.
 */
final class OwnInputs {
  /** Work items of a layer beyond which repeating costs what another kernel would: 2,048 warps. */
  static final int MOST_ITEMS = 1 << 16;

  private OwnInputs() {}

  /** Whether the kernel of one token a work group makes what the stack reads. */
  static boolean makes(MatrixStack stack, Source source) {
    return stack.format() == Grouped.W3G128
        && stack.orderAt() < 0
        && fits(stack.cols(), source)
        && stack.rows() / MatrixStack.TILE * items(stack) <= MOST_ITEMS;
  }

  /** Work items of a group. */
  static int items(MatrixStack stack) {
    int groups = W3Block.groups(stack.cols());
    return W3RowKernels.slicesOfMaking(groups) * W3Kernels.LANES;
  }

  /** Whether a work group's memory holds it. */
  private static boolean fits(int cols, Source source) {
    return switch (source) {
      case Source.Given _ -> false;
      case Source.Normed n -> n.selectAt() < 0 && cols <= W3RowKernels.MOST_NORMED;
      case Source.Gated _ -> cols <= W3RowKernels.MOST_COLS;
      case Source.Joined j ->
          cols <= W3RowKernels.MOST_COLS
              && j.heads() <= W3RowKernels.MOST_HEADS
              && j.splits() <= W3RowKernels.MOST_SPLITS;
    };
  }
}

package io.tercel.kernels.tornado;

import io.tercel.kernels.tornado.LinearTasks.Rows;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * What the inputs of linear layers are made of. A kernel that rounds them makes them as well, so
 * that nothing is written in between; where they stay floats, {@link RowTasks} writes them.
 */
sealed interface Source {
  /** Rows as they are. */
  record Given(Rows x) implements Source {}

  /**
   * x / sqrt(mean(x^2) + eps) * weight.
   *
   * @param weightAt weights in the image's floats
   * @param selectAt where in the step's ints the numbers of the rows to take lie; below 0 they are
   *     0, 1, ..
   */
  record Normed(Rows x, int weightAt, float eps, int selectAt) implements Source {}

  /** silu(x[0 .. width)) * x[upAt .. upAt + width). */
  record Gated(Rows x, int upAt) implements Source {}

  /**
   * The splits of attention, joined.
   *
   * @param part [slots][heads][headDim + 2]
   * @param rows most rows of a pass, see {@link StepLayout}
   * @param splits most splits of a row
   */
  record Joined(FloatArray part, int rows, int heads, int headDim, int splits) implements Source {}

  /** The source as kernels are told of it. */
  record Numbers(FloatArray x, int source, int xStride, int at, int more, int headDim, float eps) {}

  default Numbers numbers() {
    return switch (this) {
      case Given(Rows x) ->
          new Numbers(x.array(), SourceArithmetic.GIVEN, x.stride(), 0, -1, 1, 0f);
      case Normed n ->
          new Numbers(
              n.x.array(), SourceArithmetic.NORMED, n.x.stride(), n.weightAt, n.selectAt, 1, n.eps);
      case Gated(Rows x, int upAt) ->
          new Numbers(x.array(), SourceArithmetic.GATED, x.stride(), upAt, -1, 1, 0f);
      case Joined j ->
          new Numbers(j.part, SourceArithmetic.JOINED, 0, j.rows, j.heads, j.headDim, 0f);
    };
  }
}

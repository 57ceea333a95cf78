package io.tercel.trainer.torch;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.tercel.kernels.ops.GroupedInts;
import java.util.Arrays;

/**
 * The inputs of quantized linears as the engine reads them: 16-bit integers with a scale per token
 * and group of 128, by {@link GroupedInts} itself, so that what is trained is what is served. The
 * gradient passes straight through.
 */
public final class ActivationRounding {
  private ActivationRounding() {}

  /** x [tokens, inputs], rounded; its gradient is that of the result. */
  public static NDArray of(NDArray x, NDManager manager) {
    int cols = Math.toIntExact(x.getShape().get(1));
    float[] values = x.toFloatArray();
    float[] moves = new float[values.length];
    float[] group = new float[GroupedInts.GROUP];
    for (int row = 0; row < values.length; row += cols) {
      for (int first = 0; first < cols; first += GroupedInts.GROUP) {
        int count = Math.min(GroupedInts.GROUP, cols - first);
        System.arraycopy(values, row + first, group, 0, count);
        Arrays.fill(group, count, GroupedInts.GROUP, 0f);
        moves(group, count, moves, row + first);
      }
    }
    // x + (rounded - x) is exact: the two are within a factor of 2, or the rounded one is 0
    return x.add(manager.create(moves, x.getShape()));
  }

  private static void moves(float[] group, int count, float[] moves, int at) {
    int magnitude = GroupedInts.magnitude(group, 0, GroupedInts.GROUP);
    float factor = GroupedInts.factor(magnitude);
    float scale = GroupedInts.scale(magnitude);
    for (int k = 0; k < count; k++) {
      moves[at + k] = scale * GroupedInts.code(group[k], factor) - group[k];
    }
  }
}

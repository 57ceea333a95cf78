package io.tercel.kernels.format;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The input order that a GPTQ {@code g_idx} asks for. With act-order, input i belongs to group
 * g_idx[i]; sorting the inputs stably by group makes each group contiguous.
 */
final class ActOrder {
  private ActOrder() {}

  /**
   * @param gIdx I32 [cols]
   * @return the stable argsort of g_idx, or null if that is the identity
   * @throws CheckpointException if a value is out of range, or a group has not exactly 128 inputs
   *     (the last: the remainder)
   */
  static int @Nullable [] of(Tensor gIdx, int cols) {
    int group = W3Block.GROUP;
    int groups = W3Block.groups(cols);
    int[] next = new int[groups];
    int[] members = new int[cols];
    for (int i = 0; i < cols; i++) {
      int g = gIdx.intAt(i);
      if (g < 0 || g >= groups) {
        throw new CheckpointException(
            "%s has group %d for input %d; expected 0 to %d"
                .formatted(gIdx.where(), g, i, groups - 1));
      }
      members[i] = g;
      next[g]++;
    }
    for (int g = 0; g < groups; g++) {
      int expected = Math.min(group, cols - g * group);
      if (next[g] != expected) {
        throw new CheckpointException(
            "%s gives group %d %d inputs; expected %d"
                .formatted(gIdx.where(), g, next[g], expected));
      }
    }
    Arrays.setAll(next, g -> g * group);
    int[] order = new int[cols];
    boolean identity = true;
    for (int i = 0; i < cols; i++) {
      int packed = next[members[i]]++;
      order[packed] = i;
      identity &= packed == i;
    }
    return identity ? null : order;
  }
}

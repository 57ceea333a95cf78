package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import java.lang.foreign.Arena;
import org.jspecify.annotations.Nullable;

/** Where packed matrices are allocated: one arena, large pages where the system grants them. */
record WeightArena(Arena arena) {
  PackedMatrix allocate(
      String name, int rows, int cols, QuantFormat format, int @Nullable [] inputOrder) {
    return new PackedMatrix(
        name, HugePages.allocate(arena, format.bytes(rows, cols)), rows, cols, format, inputOrder);
  }
}

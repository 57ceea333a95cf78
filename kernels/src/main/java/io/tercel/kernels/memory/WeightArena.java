package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import java.lang.foreign.Arena;
import org.jspecify.annotations.Nullable;

/** Where packed matrices are allocated: one arena, each matrix aligned to a cache line. */
record WeightArena(Arena arena) {
  private static final long ALIGNMENT = 64;

  PackedMatrix allocate(
      String name, int rows, int cols, QuantFormat format, int @Nullable [] inputOrder) {
    return new PackedMatrix(
        name, arena.allocate(format.bytes(rows, cols), ALIGNMENT), rows, cols, format, inputOrder);
  }
}

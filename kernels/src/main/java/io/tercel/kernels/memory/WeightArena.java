package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Where packed matrices are allocated: one arena, large pages where the system grants them.
 * Matrices smaller than a large page lie one after another in slabs of several, since on small
 * pages the hardware's prefetchers stop every 4 KiB. One thread at a time allocates.
 */
final class WeightArena {
  /** What small matrices share. Pages of it that nothing touches take no memory. */
  private static final long SLAB = 4 * HugePages.PAGE;

  /** Where a matrix may begin: at a cache line. */
  private static final long ALIGNMENT = 64;

  private final Arena arena;
  private MemorySegment slab = MemorySegment.NULL;
  private long used;

  WeightArena(Arena arena) {
    this.arena = arena;
  }

  Arena arena() {
    return arena;
  }

  PackedMatrix allocate(
      String name, int rows, int cols, QuantFormat format, int @Nullable [] inputOrder) {
    return new PackedMatrix(
        name, segment(format.bytes(rows, cols)), rows, cols, format, inputOrder);
  }

  /** Zeroed bytes. */
  private MemorySegment segment(long bytes) {
    if (bytes >= HugePages.PAGE) {
      return HugePages.allocate(arena, bytes);
    }
    if (slab.byteSize() - used < bytes) {
      slab = HugePages.allocate(arena, SLAB);
      used = 0;
    }
    MemorySegment segment = slab.asSlice(used, bytes);
    used = Math.ceilDiv(used + bytes, ALIGNMENT) * ALIGNMENT;
    return segment;
  }
}

package io.tercel.kernels.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Off-heap memory by absolute address, for inner loops. C2 folds every check on one constant
 * segment that covers all of it, where a caller's segment costs liveness, bounds and, once mapped
 * and allocated segments have both been seen, type checks in each loop.
 */
final class OffHeap {
  /** All memory; index it with addresses from {@link #address}. */
  static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private OffHeap() {}

  /**
   * The address of {@code bytes} bytes at {@code offset}: the one place where bounds, liveness and
   * the right thread are checked, so kernels ask it once a call. The caller keeps the segment alive
   * until the kernel returns.
   */
  static long address(MemorySegment segment, long offset, long bytes) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("weights must lie off the heap");
    }
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException("weights already freed");
    }
    return segment.asSlice(offset, bytes).address();
  }
}

package io.tercel.kernels.jit;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The operands of a kernel's call, as it finds them: longs in memory, whose address is its one
 * argument. One worker's.
 *
 * <p>Machine code checks nothing. So whoever points an operand at memory says how much of it the
 * kernel touches, and that is checked here, once a call.
 */
class Operands {
  private static final int BYTES = 128;

  private final MemorySegment operands;

  /**
   * @param arena lives as long as the calls
   */
  Operands(Arena arena) {
    operands = arena.allocate(BYTES, Codes.VECTOR);
  }

  /** Sets a count or a distance. */
  final void set(int operand, long value) {
    operands.set(ValueLayout.JAVA_LONG, operand, value);
  }

  /** Sets four bytes of an operand to a float. */
  final void set(int operand, float value) {
    operands.set(ValueLayout.JAVA_FLOAT, operand, value);
  }

  /**
   * Points an operand at memory that the caller keeps alive until the kernel has returned.
   *
   * @param bytes that the kernel reads or writes from {@code offset} on
   * @throws IndexOutOfBoundsException if the segment hasn't that many
   */
  final void point(int operand, MemorySegment segment, long offset, long bytes) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("operands must lie off the heap");
    }
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException("memory already freed");
    }
    set(operand, segment.asSlice(offset, bytes).address());
  }

  /** What the kernel is given. */
  final long address() {
    return operands.address();
  }
}

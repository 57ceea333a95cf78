package io.tercel.kernels.jit;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The operands of a kernel's call, as it finds them: longs in memory, whose address is its one
 * argument. One worker's, with the slots for its results.
 *
 * <p>Machine code checks nothing. So whoever points an operand at memory says how much of it the
 * kernel touches, and that is checked here, once a call.
 */
final class LinearCall {
  /** Where the first stream of weights begins. */
  static final int WEIGHTS = 0;

  /** Bytes from the begin of one stream to that of the next. */
  static final int STREAM_STRIDE = 8;

  /** Tiles (dense: rows) of each stream, 1 to {@link #SLOT_TILES} (dense: {@link #SLOT_ROWS}). */
  static final int STEPS = 16;

  /** Groups of 128 columns (dense: blocks of 32), at least 1. */
  static final int GROUPS = 24;

  /** Where the first token's inputs of the first group begin. */
  static final int INPUTS = 32;

  /** Bytes from a group's inputs to the next group's (dense: from token to token). */
  static final int INPUT_STRIDE = 40;

  /** Where the first token's scale and sum of the first group are. */
  static final int FACTORS = 48;

  /** Bytes from a group's scales and sums to the next group's. */
  static final int FACTOR_STRIDE = 56;

  /** Where the first slot of the results begins. */
  static final int OUTPUTS = 64;

  /** Bytes from a group's results to the next group's, of {@link RoundingCode}. */
  static final int OUTPUT_STRIDE = 72;

  private static final int BYTES = 128;

  /** Tiles of 16 results that a slot holds: one token's of one stream. */
  static final int SLOT_TILES = 64;

  /** Single results that it holds. */
  static final int SLOT_ROWS = SLOT_TILES * Codes.ROWS;

  /** A line more than it holds, lest all slots begin in one set of the first-level cache. */
  static final int SLOT_BYTES = SLOT_TILES * Codes.VECTOR + Codes.VECTOR;

  /** Slots there are: streams by tokens. */
  static final int SLOTS = 24;

  private final MemorySegment operands;
  private final MemorySegment slots;

  /**
   * @param arena lives as long as the calls
   */
  LinearCall(Arena arena) {
    operands = arena.allocate(BYTES, Codes.VECTOR);
    slots = arena.allocate((long) SLOTS * SLOT_BYTES, Codes.VECTOR);
    point(OUTPUTS, slots, 0, slots.byteSize());
  }

  /** Sets a count or a distance. */
  void set(int operand, long value) {
    operands.set(ValueLayout.JAVA_LONG, operand, value);
  }

  /**
   * Points an operand at memory that the caller keeps alive until the kernel has returned.
   *
   * @param bytes that the kernel reads or writes from {@code offset} on
   * @throws IndexOutOfBoundsException if the segment hasn't that many
   */
  void point(int operand, MemorySegment segment, long offset, long bytes) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("operands must lie off the heap");
    }
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException("memory already freed");
    }
    set(operand, segment.asSlice(offset, bytes).address());
  }

  /** What the kernel is given. */
  long address() {
    return operands.address();
  }

  /** Copies the first {@code count} floats of a slot. */
  void result(int slot, float[] to, int at, int count) {
    long from = (long) slot * SLOT_BYTES;
    MemorySegment.copy(slots, ValueLayout.JAVA_FLOAT, from, to, at, count);
  }
}

package io.tercel.kernels.jit;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The operands of linears and of rounding: one worker's, with the slots for its results. */
final class LinearCall extends Operands {
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

  /** Tiles of 16 results that a slot holds: one token's of one stream. */
  static final int SLOT_TILES = 64;

  /** Single results that it holds. */
  static final int SLOT_ROWS = SLOT_TILES * Codes.ROWS;

  /** A line more than it holds, lest all slots begin in one set of the first-level cache. */
  static final int SLOT_BYTES = SLOT_TILES * Codes.VECTOR + Codes.VECTOR;

  /** Slots there are: streams by tokens. */
  static final int SLOTS = 24;

  private final MemorySegment slots;

  /**
   * @param arena lives as long as the calls
   */
  LinearCall(Arena arena) {
    super(arena);
    slots = arena.allocate((long) SLOTS * SLOT_BYTES, Codes.VECTOR);
    point(OUTPUTS, slots, 0, slots.byteSize());
  }

  /** Copies the first {@code count} floats of a slot. */
  void result(int slot, float[] to, int at, int count) {
    long from = (long) slot * SLOT_BYTES;
    MemorySegment.copy(slots, ValueLayout.JAVA_FLOAT, from, to, at, count);
  }
}

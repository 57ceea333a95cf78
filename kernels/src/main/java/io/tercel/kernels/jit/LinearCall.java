package io.tercel.kernels.jit;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The operands of one call of a kernel, as it finds them: longs in memory, whose address is its one
 * argument. Each worker has one. Who sets addresses has checked the bounds of what they point to.
 */
final class LinearCall {
  /** Address of the first stream's weights. */
  static final int WEIGHTS = 0;

  /** Bytes from one stream of weights to the next. */
  static final int STREAM_STRIDE = 8;

  /** Tiles (or dense rows) of each stream, at least 1. */
  static final int STEPS = 16;

  /** Groups of 128 columns (or dense blocks of 32), at least 1. */
  static final int GROUPS = 24;

  /** Address of the first token's activations of the first group. */
  static final int INPUTS = 32;

  /** Bytes from a group's activations to the next group's (dense: from token to token). */
  static final int INPUT_STRIDE = 40;

  /** Address of the first token's (scale, sum) of the first group. */
  static final int FACTORS = 48;

  /** Bytes from a group's factors to the next group's. */
  static final int FACTOR_STRIDE = 56;

  /** Address where the results go, in the kernel's own order. */
  static final int OUTPUTS = 64;

  /** Address of what {@link GemmCode} unpacks into. */
  static final int UNPACKED = 72;

  /** Whole batches of tokens of a GEMM. */
  static final int BATCHES = 80;

  private static final int BYTES = 128;

  private final MemorySegment operands;

  LinearCall(Arena arena) {
    operands = arena.allocate(BYTES, 64);
  }

  void set(int operand, long value) {
    operands.set(ValueLayout.JAVA_LONG, operand, value);
  }

  long address() {
    return operands.address();
  }
}

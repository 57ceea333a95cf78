package io.tercel.kernels.jit;

import java.lang.foreign.Arena;

/** The operands of {@link ScoreCode}, {@link SoftmaxCode} and {@link ValueCode}. */
final class AttentionCall extends Operands {
  /**
   * Where the table of addresses begins: a long a block, of its first head's keys or values; of a
   * softmax, the head's scales and zeros of keys.
   */
  static final int BLOCKS = 0;

  /** Blocks in the table, at least 1; scores take as many as {@link ScoreCode#blocks}. */
  static final int COUNT = 8;

  /** KV heads, at least 1. */
  static final int HEADS = 16;

  /**
   * Scores: bytes from the end of a head's keys to the next head's. Values: from begin to begin.
   */
  static final int HEAD_STRIDE = 24;

  /**
   * Scores: dims / 8 of a head. Values: rows of a block, pairs of tokens in 4 bits, else tokens.
   */
  static final int STEPS = 32;

  /** Values: bytes from a row to the next. */
  static final int ROW_STRIDE = 40;

  /** Values: chunks of 64 dims in a head. */
  static final int CHUNKS = 48;

  /**
   * Scores: queries, [head][query][{@link ScoreCode#DIMS}]. Values: weights, [head][slot][256
   * tokens].
   */
  static final int INPUTS = 56;

  /**
   * Scores: bytes from the end of a head's first query to the next head's. Values: from a head's
   * weights to the next head's.
   */
  static final int INPUT_STRIDE = 64;

  /** Scores: [head][slot][256 tokens]. Values: sums, [head][chunk][query][64]. */
  static final int OUTPUTS = 72;

  /** Scores: bytes from a head's scores to the next head's. */
  static final int OUTPUT_STRIDE = 80;

  /** Softmax: where a table of the head's scales and zeros of values begins. */
  static final int VALUE_BLOCKS = 88;

  /** Softmax: slots of the head. */
  static final int SLOTS = 96;

  /** Softmax: a slot after the other, {@link SoftmaxCode#FACTS_BYTES} each. */
  static final int FACTS = 104;

  /** Softmax: the ints 0 to 15. */
  static final int CONSTANTS = 112;

  /** Softmax: what scores are multiplied with, a float. */
  static final int SCALE = 120;

  /**
   * @param arena lives as long as the calls
   */
  AttentionCall(Arena arena) {
    super(arena);
  }
}

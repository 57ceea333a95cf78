package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;

/**
 * Adds the weighted values of some blocks to the sums of a few queries. Lane = dim, tokens
 * ascending, as {@link Attention} defines it, so the bits are those of every other backend. It
 * reads
 *
 * <pre>
 * for each head
 *   for each chunk of 64 dims
 *     load the sums
 *     for each block
 *       for each row                     (a token, or two of 4 bits)
 *         for each token, 16 dims:       v = the values
 *           for each query:              its sum = fma(v, weight, its sum)
 *     store the sums
 * </pre>
 *
 * <p>Instructions for a row, queries n: 4 (1 + n) and 3 for the loop; of 4 bits 1 + 8 (2 + n) and
 * 3.
 */
final class ValueCode {
  /**
   * Bytes ahead that 4-bit codes are asked for: about two heads of 128 dims. A block's heads are
   * one stream, too short for hardware to have found it.
   */
  private static final int PREFETCH = 2176;

  private static final int MASK = 0;
  private static final int ONE = 1;
  private static final int WORDS = 2;
  private static final int VALUE = 3;
  private static final int VECTORS = KvLayout.CHUNK_DIMS / KvLayout.BLOCK_SIZE;
  private static final int SUM = VALUE + VECTORS;

  private static final Gpr CALL = Gpr.RDI;
  private static final Gpr OUTPUTS = Gpr.RAX;
  private static final Gpr HEADS = Gpr.RBX;
  private static final Gpr CHUNKS = Gpr.RBP;
  private static final Gpr STEPS = Gpr.RCX;
  private static final Gpr INPUTS = Gpr.RDX;
  private static final Gpr ROWS = Gpr.RSI;
  private static final Gpr CHUNK = Gpr.R8; // where it begins in a block
  private static final Gpr TABLE = Gpr.R9;
  private static final Gpr COUNT = Gpr.R10;
  private static final Gpr HEAD_INPUTS = Gpr.R11;
  private static final Gpr HEAD = Gpr.R12; // where it begins in a block
  private static final Gpr[] SAVED = {HEADS, CHUNKS, HEAD};

  private final Evex code = new Evex();
  private final KvType type;
  private final int queries;

  private ValueCode(KvType type, int queries) {
    this.type = type;
    this.queries = queries;
  }

  /** Bytes of 64 dims of a row. */
  static int chunkBytes(KvType type) {
    return type == KvType.INT4 ? KvLayout.ROW_BYTES : KvLayout.CHUNK_DIMS * type.bits() / Byte.SIZE;
  }

  /** Tokens of a row. */
  static int rowTokens(KvType type) {
    return type == KvType.INT4 ? 2 : 1;
  }

  /**
   * Code of {@code void f(AttentionCall)}.
   *
   * @param queries 1 to {@link ScoreCode#QUERIES}
   */
  static Evex assemble(KvType type, int queries) {
    ValueCode values = new ValueCode(type, queries);
    values.function();
    return values.code;
  }

  private void function() {
    for (Gpr register : SAVED) {
      code.push(register);
    }
    if (type == KvType.INT4) {
      CodeValue.constants(code, MASK, ONE);
    }
    code.mov(OUTPUTS, at(CALL, AttentionCall.OUTPUTS));
    code.mov(HEAD_INPUTS, at(CALL, AttentionCall.INPUTS));
    code.mov(HEAD, 0);
    code.mov(HEADS, at(CALL, AttentionCall.HEADS));
    int head = code.here();
    head();
    code.add(HEAD, at(CALL, AttentionCall.HEAD_STRIDE));
    code.add(HEAD_INPUTS, at(CALL, AttentionCall.INPUT_STRIDE));
    code.sub(HEADS, 1);
    code.jnz(head);
    for (int i = SAVED.length - 1; i >= 0; i--) {
      code.pop(SAVED[i]);
    }
    code.vzeroupper();
    code.ret();
  }

  private void head() {
    code.mov(CHUNK, HEAD);
    code.mov(CHUNKS, at(CALL, AttentionCall.CHUNKS));
    int chunk = code.here();
    for (int i = 0; i < queries * VECTORS; i++) {
      code.vmovdqu32(SUM + i, at(OUTPUTS, i * Codes.VECTOR));
    }
    code.mov(INPUTS, HEAD_INPUTS);
    code.mov(TABLE, at(CALL, AttentionCall.BLOCKS));
    code.mov(COUNT, at(CALL, AttentionCall.COUNT));
    int block = code.here();
    code.mov(ROWS, at(TABLE, 0));
    code.add(ROWS, CHUNK);
    code.mov(STEPS, at(CALL, AttentionCall.STEPS));
    int row = code.here();
    row();
    code.add(ROWS, at(CALL, AttentionCall.ROW_STRIDE));
    code.add(INPUTS, rowTokens(type) * Float.BYTES);
    code.sub(STEPS, 1);
    code.jnz(row);
    code.add(TABLE, Long.BYTES);
    code.sub(COUNT, 1);
    code.jnz(block);
    for (int i = 0; i < queries * VECTORS; i++) {
      code.vmovdqu32(at(OUTPUTS, i * Codes.VECTOR), SUM + i);
    }
    code.add(OUTPUTS, queries * VECTORS * Codes.VECTOR);
    code.add(CHUNK, chunkBytes(type));
    code.sub(CHUNKS, 1);
    code.jnz(chunk);
  }

  private void row() {
    if (type == KvType.INT4) {
      code.vmovdqu32(WORDS, at(ROWS, 0));
      code.prefetcht0(at(ROWS, PREFETCH));
    }
    for (int token = 0; token < rowTokens(type); token++) {
      for (int j = 0; j < VECTORS; j++) {
        values(token, j);
        for (int q = 0; q < queries; q++) {
          Mem weight = at(INPUTS, (q * Attention.SPLIT + token) * Float.BYTES);
          code.vfmadd231psBroadcast(SUM + q * VECTORS + j, VALUE + j, weight);
        }
      }
    }
  }

  private void values(int token, int vector) {
    Mem dims = at(ROWS, vector * chunkBytes(type) / VECTORS);
    switch (type) {
      case INT4 -> {
        int index = token * VECTORS + vector;
        CodeValue.of(code, VALUE + vector, WORDS, index, MASK, ONE);
      }
      case FP16 -> code.vcvtph2ps(VALUE + vector, dims);
      case FP32 -> code.vmovdqu32(VALUE + vector, dims);
    }
  }
}

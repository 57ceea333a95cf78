package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;

/**
 * A few queries by the keys of some blocks. Lane = token; even and odd dims have chains of their
 * own, as {@link Attention} defines it, so the bits are those of every other backend. It reads
 *
 * <pre>
 * for each head
 *   for each query, block:               even = odd = 0
 *   for each eight dims
 *     for each dim
 *       for each block:                  v = the 16 tokens' keys
 *       for each query, block:           its chain = fma(v, q, its chain)
 *   for each query, block:               score = even + odd
 * </pre>
 *
 * <p>Instructions for eight dims, blocks m, queries n: 8 n m, and 17 m of 4 bits or 8 m of floats
 * to make v.
 */
final class ScoreCode {
  /** Queries of a call, at most. */
  static final int QUERIES = 6;

  /**
   * Bytes ahead that 4-bit codes are asked for: about two heads of 128 dims. A block's heads are
   * one stream, too short for hardware to have found it.
   */
  private static final int PREFETCH = 1152;

  /** Dims of a head, at most. */
  static final int DIMS = 256;

  /** Bytes from a query to the next. */
  static final int QUERY_BYTES = DIMS * Float.BYTES;

  private static final int MASK = 0;
  private static final int ONE = 1;
  private static final int WORDS = 2;

  private static final Gpr CALL = Gpr.RDI;
  private static final Gpr[] KEYS = {Gpr.R8, Gpr.R9, Gpr.R10, Gpr.R11};
  private static final Gpr HEADS = Gpr.RAX;
  private static final Gpr STEPS = Gpr.RCX;
  private static final Gpr OUTPUTS = Gpr.RDX;
  private static final Gpr INPUTS = Gpr.RSI;

  private final Evex code = new Evex();
  private final KvType type;
  private final int queries;
  private final int blocks;

  private ScoreCode(KvType type, int queries) {
    this.type = type;
    this.queries = queries;
    this.blocks = blocks(queries);
  }

  /** Blocks that a call takes together, so that there are enough chains and registers. */
  static int blocks(int queries) {
    return queries <= 2 ? 4 : 2;
  }

  /** Bytes of eight dims of a block's keys. */
  static int stepBytes(KvType type) {
    return KvLayout.WORD_DIMS * KvLayout.BLOCK_SIZE * type.bits() / Byte.SIZE;
  }

  /**
   * Code of {@code void f(AttentionCall)}.
   *
   * @param queries 1 to {@link #QUERIES}
   */
  static Evex assemble(KvType type, int queries) {
    ScoreCode scores = new ScoreCode(type, queries);
    scores.function();
    return scores.code;
  }

  private void function() {
    if (type == KvType.INT4) {
      CodeValue.constants(code, MASK, ONE);
    }
    code.mov(HEADS, at(CALL, AttentionCall.BLOCKS));
    for (int b = 0; b < blocks; b++) {
      code.mov(KEYS[b], at(HEADS, b * Long.BYTES));
    }
    code.mov(INPUTS, at(CALL, AttentionCall.INPUTS));
    code.mov(OUTPUTS, at(CALL, AttentionCall.OUTPUTS));
    code.mov(HEADS, at(CALL, AttentionCall.HEADS));
    int head = code.here();
    head();
    code.sub(HEADS, 1);
    code.jnz(head);
    code.vzeroupper();
    code.ret();
  }

  private void head() {
    for (int q = 0; q < queries; q++) {
      for (int b = 0; b < blocks; b++) {
        code.vpxord(chain(q, b, 0), chain(q, b, 0), chain(q, b, 0));
        code.vpxord(chain(q, b, 1), chain(q, b, 1), chain(q, b, 1));
      }
    }
    code.mov(STEPS, at(CALL, AttentionCall.STEPS));
    int step = code.here();
    eightDims();
    for (int b = 0; b < blocks; b++) {
      code.add(KEYS[b], stepBytes(type));
    }
    code.add(INPUTS, KvLayout.WORD_DIMS * Float.BYTES);
    code.sub(STEPS, 1);
    code.jnz(step);
    for (int q = 0; q < queries; q++) {
      for (int b = 0; b < blocks; b++) {
        code.vaddps(chain(q, b, 0), chain(q, b, 0), chain(q, b, 1));
        int to = (q * Attention.SPLIT + b * KvLayout.BLOCK_SIZE) * Float.BYTES;
        code.vmovdqu32(at(OUTPUTS, to), chain(q, b, 0));
      }
    }
    for (int b = 0; b < blocks; b++) {
      code.add(KEYS[b], at(CALL, AttentionCall.HEAD_STRIDE));
    }
    code.add(INPUTS, at(CALL, AttentionCall.INPUT_STRIDE));
    code.add(OUTPUTS, at(CALL, AttentionCall.OUTPUT_STRIDE));
  }

  private void eightDims() {
    for (int b = 0; b < blocks && type == KvType.INT4; b++) {
      code.vmovdqu32(WORDS + b, at(KEYS[b], 0));
      code.prefetcht0(at(KEYS[b], PREFETCH));
    }
    for (int d = 0; d < KvLayout.WORD_DIMS; d++) {
      for (int b = 0; b < blocks; b++) {
        keys(b, d);
      }
      for (int q = 0; q < queries; q++) {
        Mem query = at(INPUTS, q * QUERY_BYTES + d * Float.BYTES);
        for (int b = 0; b < blocks; b++) {
          code.vfmadd231psBroadcast(chain(q, b, d % 2), value(b), query);
        }
      }
    }
  }

  private void keys(int block, int dim) {
    Mem row = at(KEYS[block], dim * stepBytes(type) / KvLayout.WORD_DIMS);
    switch (type) {
      case INT4 -> CodeValue.of(code, value(block), WORDS + block, dim, MASK, ONE);
      case FP16 -> code.vcvtph2ps(value(block), row);
      case FP32 -> code.vmovdqu32(value(block), row);
    }
  }

  private int value(int block) {
    return WORDS + blocks + block;
  }

  private int chain(int query, int block, int parity) {
    return WORDS + 2 * blocks + (query * blocks + block) * 2 + parity;
  }
}

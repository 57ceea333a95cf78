package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.LaneSum;

/**
 * Makes weights of the dots of a head's queries in a split, in place, as {@link Attention} says.
 * Lane = token. It reads
 *
 * <pre>
 * for each slot
 *   for each block:    s = scale * (16 s_k * (dot - (1 + z_k / 16) sum q)), of floats scale * dot;
 *                      -infinity where the slot sees no token; the largest
 *   for each block:    p = exp(s - largest); l += p; w = 16 s_v p, 0 where no token; c += (1 + z_v / 16) w
 *   store the largest, and by {@link LaneSum} l and c
 * </pre>
 *
 * <p>A NaN may be lost in the largest; its own weight is NaN, and with it the sum and all that is
 * divided by it.
 */
final class SoftmaxCode {
  /** Bytes of a slot's facts: its limit (int) and sum q, then largest, l and c, as floats. */
  static final int FACTS_BYTES = 32;

  static final int LIMIT = 0;
  static final int QUERY_SUM = 4;
  static final int LARGEST = 8;
  static final int SUM = 12;
  static final int ZEROS = 16;

  // registers
  private static final int X = 0;
  private static final int P = 1;
  private static final int SCRATCH = 2;
  private static final int META = 3;
  private static final int SCALES = 4;
  private static final int ROW_LIMIT = 5;
  private static final int ROW_QUERY_SUM = 6;
  private static final int MAX = 7;
  private static final int TOTAL = 8;
  private static final int ZERO_TOTAL = 9;
  private static final int INDEX = 10;
  private static final int FIRST_INDEX = 11;
  private static final int NEXT_INDEX = 12;
  private static final int INFINITY = 13; // the negative one
  private static final int SIXTEEN = 14;
  private static final int SCALE = 15;
  private static final int MASK = 16;
  private static final int ONE = 17;
  private static final int EXP = 18;
  private static final int SEEN = 1; // k1

  private static final Gpr CALL = Gpr.RDI;
  private static final Gpr META_AT = Gpr.RAX;
  private static final Gpr ROW = Gpr.RCX;
  private static final Gpr FACTS = Gpr.RDX;
  private static final Gpr SLOTS = Gpr.RSI;
  private static final Gpr TABLE = Gpr.R8;
  private static final Gpr COUNT = Gpr.R9;
  private static final Gpr SLOT_ROW = Gpr.R10;

  private final Evex code = new Evex();
  private final boolean codes;
  private final ExpCode exp;

  private SoftmaxCode(KvType type) {
    this.codes = type == KvType.INT4;
    code.mov(Gpr.RAX, at(CALL, AttentionCall.CONSTANTS));
    code.vmovdqu32(FIRST_INDEX, at(Gpr.RAX, 0));
    ExpCode.constant(code, NEXT_INDEX, Codes.ROWS);
    ExpCode.constant(code, INFINITY, Float.floatToIntBits(Float.NEGATIVE_INFINITY));
    ExpCode.constant(code, SIXTEEN, Float.floatToIntBits(16f));
    CodeValue.constants(code, MASK, ONE);
    this.exp = new ExpCode(code, EXP);
  }

  /** Code of {@code void f(AttentionCall)}. */
  static Evex assemble(KvType type) {
    SoftmaxCode softmax = new SoftmaxCode(type);
    softmax.function();
    return softmax.code;
  }

  private void function() {
    code.vpbroadcastd(SCALE, at(CALL, AttentionCall.SCALE));
    code.mov(SLOT_ROW, at(CALL, AttentionCall.OUTPUTS));
    code.mov(FACTS, at(CALL, AttentionCall.FACTS));
    code.mov(SLOTS, at(CALL, AttentionCall.SLOTS));
    int slot = code.here();
    scores();
    weights();
    code.add(SLOT_ROW, Attention.SPLIT * Float.BYTES);
    code.add(FACTS, FACTS_BYTES);
    code.sub(SLOTS, 1);
    code.jnz(slot);
    code.vzeroupper();
    code.ret();
  }

  private void scores() {
    code.vpbroadcastd(ROW_LIMIT, at(FACTS, LIMIT));
    code.vpbroadcastd(ROW_QUERY_SUM, at(FACTS, QUERY_SUM));
    code.vmovaps(MAX, INFINITY);
    blocks(AttentionCall.BLOCKS, this::score);
    tree(MAX, code::vmaxps);
    code.vmovss(at(FACTS, LARGEST), MAX);
  }

  private void score() {
    code.vmovdqu32(X, at(ROW, 0));
    if (codes) {
      meta();
      code.vfnmadd231ps(X, SCRATCH, ROW_QUERY_SUM);
      code.vmulps(X, SCALES, X);
    }
    code.vmulps(X, X, SCALE);
    code.vpblendmd(X, INFINITY, X, SEEN);
    code.vmovdqu32(at(ROW, 0), X);
    code.vmaxps(MAX, MAX, X);
  }

  private void weights() {
    code.vpxord(TOTAL, TOTAL, TOTAL);
    code.vpxord(ZERO_TOTAL, ZERO_TOTAL, ZERO_TOTAL);
    blocks(AttentionCall.VALUE_BLOCKS, this::weight);
    tree(TOTAL, code::vaddps);
    code.vmovss(at(FACTS, SUM), TOTAL);
    if (codes) {
      tree(ZERO_TOTAL, code::vaddps);
      code.vmovss(at(FACTS, ZEROS), ZERO_TOTAL);
    }
  }

  private void weight() {
    code.vmovdqu32(X, at(ROW, 0));
    code.vsubps(X, X, MAX);
    exp.exp(P, X, SCRATCH, META);
    code.vaddps(TOTAL, TOTAL, P);
    if (codes) {
      meta();
      code.vmulps(P, P, SCALES, SEEN);
      code.vfmadd231ps(ZERO_TOTAL, SCRATCH, P);
    }
    code.vmovdqu32(at(ROW, 0), P);
  }

  /** For each block of a table: which tokens are seen, then the body. */
  private void blocks(int table, Runnable body) {
    code.vmovaps(INDEX, FIRST_INDEX);
    code.mov(ROW, SLOT_ROW);
    code.mov(TABLE, at(CALL, table));
    code.mov(COUNT, at(CALL, AttentionCall.COUNT));
    int block = code.here();
    code.vpcmpgtd(SEEN, ROW_LIMIT, INDEX);
    body.run();
    code.vpaddd(INDEX, INDEX, NEXT_INDEX);
    code.add(ROW, Codes.VECTOR);
    code.add(TABLE, Long.BYTES);
    code.sub(COUNT, 1);
    code.jnz(block);
  }

  /** A block's scales x 16, and 1 + z / 16 in SCRATCH. */
  private void meta() {
    code.mov(META_AT, at(TABLE, 0));
    code.vmovdqu32(META, at(META_AT, 0));
    code.vpmovdw(SCALES, META);
    code.vcvtph2ps(SCALES, SCALES);
    code.vmulps(SCALES, SCALES, SIXTEEN);
    code.vpslld(SCRATCH, META, 3);
    code.vpternlogd(SCRATCH, MASK, ONE, CodeValue.AND_OR);
  }

  private interface Operation {
    void write(int to, int a, int b);
  }

  /** All lanes = the lanes joined as LaneSum.tree joins them. */
  private void tree(int zmm, Operation operation) {
    code.vshuff32x4(SCRATCH, zmm, zmm, 0b10_11_00_01);
    operation.write(zmm, zmm, SCRATCH);
    code.vshuff32x4(SCRATCH, zmm, zmm, 0b01_00_11_10);
    operation.write(zmm, zmm, SCRATCH);
    code.vpermilps(SCRATCH, zmm, 0b10_11_00_01);
    operation.write(zmm, zmm, SCRATCH);
    code.vpermilps(SCRATCH, zmm, 0b01_00_11_10);
    operation.write(zmm, zmm, SCRATCH);
  }
}

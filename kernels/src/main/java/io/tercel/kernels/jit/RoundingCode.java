package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

import io.tercel.kernels.ops.GroupedInts;

/**
 * A row of activations to integers of 16 bits, as {@link GroupedInts} defines them. It reads
 *
 * <pre>
 * for each group
 *   m = the largest of the 128 magnitudes' bits
 *   if 2^-100 &lt;= m &lt; infinity
 *     q = rint(x (32639 / m)); store low bytes, high bytes, m / 32639 and the sum of q
 *   else
 *     store zeros, and as scale 0 or NaN
 * </pre>
 *
 * <p>Instructions for a usual group: 8 (1 + 2) for the maximum, 8 for its tree, 8 x 7 for the
 * codes, 8 for the tree of their sum.
 */
final class RoundingCode {
  private static final int VECTORS = GroupedInts.GROUP / Codes.ROWS;

  // registers: eight vectors of the group, then
  private static final int MAXIMUM = 8;
  private static final int SCRATCH = 9;
  private static final int FACTOR = 10;
  private static final int SUM = 11;
  private static final int MAGNITUDE = 12; // all bits but the sign
  private static final int MAX_CODE = 13;
  private static final int CARRY = 14; // what carries a negative low byte into the high one
  private static final int SCALE = 15;

  private static final Gpr CALL = Gpr.RDI;
  private static final Gpr INPUTS = Gpr.RSI;
  private static final Gpr GROUPS = Gpr.RCX;
  private static final Gpr CODES = Gpr.R8;
  private static final Gpr FACTORS = Gpr.R9;
  private static final Gpr BITS = Gpr.RAX;

  private final Evex code = new Evex();

  private RoundingCode() {}

  /**
   * Code of {@code void f(LinearCall)}: INPUTS are floats, OUTPUTS the codes, FACTORS the scales
   * and sums, the latter two with strides from group to group.
   */
  static Evex assemble() {
    RoundingCode rounding = new RoundingCode();
    rounding.function();
    return rounding.code;
  }

  private void function() {
    constant(MAGNITUDE, 0x7FFF_FFFF);
    constant(MAX_CODE, Float.floatToIntBits(GroupedInts.MAX_CODE));
    constant(CARRY, 128);
    code.mov(INPUTS, at(CALL, LinearCall.INPUTS));
    code.mov(CODES, at(CALL, LinearCall.OUTPUTS));
    code.mov(FACTORS, at(CALL, LinearCall.FACTORS));
    code.mov(GROUPS, at(CALL, LinearCall.GROUPS));
    int group = code.here();
    group();
    code.add(INPUTS, GroupedInts.GROUP * Float.BYTES);
    code.add(CODES, at(CALL, LinearCall.OUTPUT_STRIDE));
    code.add(FACTORS, at(CALL, LinearCall.FACTOR_STRIDE));
    code.sub(GROUPS, 1);
    code.jnz(group);
    code.vzeroupper();
    code.ret();
  }

  private void constant(int zmm, int value) {
    code.mov(Gpr.RAX, value);
    code.vpbroadcastd(zmm, Gpr.RAX);
  }

  private void group() {
    code.vpxord(MAXIMUM, MAXIMUM, MAXIMUM);
    for (int v = 0; v < VECTORS; v++) {
      code.vmovdqu32(v, at(INPUTS, v * Codes.VECTOR));
      code.vpandd(SCRATCH, v, MAGNITUDE);
      code.vpmaxsd(MAXIMUM, MAXIMUM, SCRATCH);
    }
    tree(MAXIMUM, code::vpmaxsd);
    code.vmovss(at(FACTORS, 0), MAXIMUM); // on its way to a general register
    code.movd(BITS, at(FACTORS, 0));
    code.cmp(BITS, GroupedInts.LEAST_BITS);
    int small = code.jb();
    code.cmp(BITS, GroupedInts.INFINITE_BITS);
    int usual = code.jb();
    code.mov(BITS, Float.floatToIntBits(Float.NaN));
    int zeros = code.jmp();
    code.land(small);
    code.mov(BITS, 0);
    code.land(zeros);
    zeros();
    int next = code.jmp();
    code.land(usual);
    codes();
    code.land(next);
  }

  /** All codes 0, and the scale in {@link #BITS}. */
  private void zeros() {
    code.vpxord(SCRATCH, SCRATCH, SCRATCH);
    for (int at = 0; at < Codes.W3.inputBytes(); at += Codes.VECTOR) {
      code.vmovdqu32(at(CODES, at), SCRATCH);
    }
    code.movd(at(FACTORS, 0), BITS);
    code.mov(BITS, 0);
    code.movd(at(FACTORS, Float.BYTES), BITS);
  }

  private void codes() {
    code.vdivps(FACTOR, MAX_CODE, MAXIMUM);
    code.vdivps(SCALE, MAXIMUM, MAX_CODE);
    code.vpxord(SUM, SUM, SUM);
    for (int v = 0; v < VECTORS; v++) {
      code.vmulps(v, v, FACTOR);
      code.vcvtps2dq(v, v);
      code.vpmovdb(at(CODES, v * Codes.ROWS), v);
      code.vpaddd(SUM, SUM, v);
      code.vpaddd(SCRATCH, v, CARRY);
      code.vpsrad(SCRATCH, SCRATCH, 8);
      code.vpmovdb(at(CODES, GroupedInts.GROUP + v * Codes.ROWS), SCRATCH);
    }
    tree(SUM, code::vpaddd);
    code.vmovss(at(FACTORS, 0), SCALE);
    code.vmovss(at(FACTORS, Float.BYTES), SUM);
  }

  private interface Operation {
    void write(int to, int a, int b);
  }

  /** All lanes = the maximum or the sum of all lanes, of ints, so in any order. */
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

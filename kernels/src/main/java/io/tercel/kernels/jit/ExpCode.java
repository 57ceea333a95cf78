package io.tercel.kernels.jit;

import io.tercel.kernels.ops.Exp;

/**
 * {@link Exp#exp} of numbers that are not above 0, operation for operation: the same bits. 18
 * instructions a vector of 16.
 */
final class ExpCode {
  private static final float[] CONSTANTS = {
    Exp.MAGIC,
    Exp.LOG2_E,
    -Exp.LN2_HI,
    -Exp.LN2_LO,
    Exp.MIN,
    1f,
    Exp.C7,
    Exp.C6,
    Exp.C5,
    Exp.C4,
    Exp.C3,
    Exp.C2
  };

  /** Registers for its constants. */
  static final int REGISTERS = CONSTANTS.length;

  private static final int MASK = 7;

  private final Evex code;
  private final int first;

  /**
   * Writes what loads the constants.
   *
   * @param first register of {@link #REGISTERS}
   */
  ExpCode(Evex code, int first) {
    this.code = code;
    this.first = first;
    for (int i = 0; i < REGISTERS; i++) {
      constant(code, first + i, Float.floatToRawIntBits(CONSTANTS[i]));
    }
  }

  /** All lanes = the bits; changes rax. */
  static void constant(Evex code, int zmm, int bits) {
    code.mov(Gpr.RAX, bits);
    code.vpbroadcastd(zmm, Gpr.RAX);
  }

  /**
   * p = e^x; 0 below {@link Exp#MIN}, NaN for NaN.
   *
   * @param x at most 0; spoilt
   * @param scratch spoilt, and so is {@code square}; four different registers
   */
  void exp(int p, int x, int scratch, int square) {
    int magic = first;
    code.vcmpnltps(MASK, x, first + 4);
    code.vmovaps(p, x);
    code.vfmadd213ps(p, first + 1, magic); // shifted
    code.vsubps(scratch, p, magic); // n
    code.vpsubd(p, p, magic);
    code.vpslld(p, p, 23); // the exponent
    code.vfmadd231ps(x, scratch, first + 2);
    code.vfmadd231ps(x, scratch, first + 3); // r
    code.vmovaps(scratch, first + 6);
    for (int c = 7; c < REGISTERS; c++) {
      code.vfmadd213ps(scratch, x, first + c);
    }
    code.vmulps(square, x, x);
    code.vfmadd213ps(scratch, square, x);
    code.vaddps(scratch, scratch, first + 5);
    code.vpaddd(p, scratch, p, MASK);
  }
}

package io.tercel.kernels.jit;

/** The pieces of code that take vectors of weight codes apart. */
final class FieldCode {
  // what the first of three vectors gives to the bits of a spare pair of fields, and the first two
  private static final int FROM_A = 0x30;
  private static final int FROM_AB = 0x3C;

  /** vpternlogd: the first operand where the mask is set, else the second one. */
  private static final int SELECT = 0xE4;

  private FieldCode() {}

  /** Sets the masks of low fields and, where there are any, of spare ones. */
  static void masks(Evex code, Codes codes, int low, int spareA, int spareAb) {
    broadcast(code, low, codes.low());
    if (codes.spare()) {
      broadcast(code, spareA, FROM_A);
      broadcast(code, spareAb, FROM_AB);
    }
  }

  /** All bytes of a register = {@code value}; changes rax. */
  static void broadcast(Evex code, int zmm, int value) {
    code.mov(Gpr.RAX, value * 0x01010101);
    code.vpbroadcastd(zmm, Gpr.RAX);
  }

  /**
   * Bits 6 and 7 of three vectors become bits 4-5, 2-3 and 0-1 of {@code a}, where a low and a high
   * field are; above them is what was there. Spoils {@code b} and {@code c}.
   */
  static void gatherSpare(Evex code, int a, int b, int c, int spareA, int spareAb) {
    code.vpsrld(a, a, 2);
    code.vpsrld(b, b, 4);
    code.vpsrld(c, c, 6);
    code.vpternlogd(a, b, spareA, SELECT);
    code.vpternlogd(a, c, spareAb, SELECT);
  }
}

package io.tercel.kernels.jit;

/**
 * The piece of code that makes floats of 4-bit keys and values: v = 1 + code / 16, by a shift to
 * the mantissa's top and {@code (field & mask) | 1.0f} in one instruction. Two instructions a
 * vector of 16.
 */
final class CodeValue {
  /** Bits of the mantissa where a code goes. */
  private static final int MASK = 0x0078_0000;

  private static final int PLACE = 19;

  /** vpternlogd: the first operand where the second one is set, or the third one. */
  static final int AND_OR = 0xEA;

  private CodeValue() {}

  /** Sets the two constants; changes rax. */
  static void constants(Evex code, int mask, int one) {
    code.mov(Gpr.RAX, MASK);
    code.vpbroadcastd(mask, Gpr.RAX);
    code.mov(Gpr.RAX, Float.floatToIntBits(1f));
    code.vpbroadcastd(one, Gpr.RAX);
  }

  /**
   * to = the values of one code of each word.
   *
   * @param index which of a word's eight
   */
  static void of(Evex code, int to, int words, int index, int mask, int one) {
    int left = PLACE - 4 * index;
    if (left > 0) {
      code.vpslld(to, words, left);
    } else {
      code.vpsrld(to, words, -left);
    }
    code.vpternlogd(to, mask, one, AND_OR);
  }
}

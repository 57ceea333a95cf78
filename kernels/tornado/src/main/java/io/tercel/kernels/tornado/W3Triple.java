package io.tercel.kernels.tornado;

/**
 * Products of the fields of a triple of words with the inputs of their columns, four at a time as
 * they lie, masked: see {@link io.tercel.kernels.format.W3Block}.
 */
final class W3Triple {
  /** A code of each byte. */
  private static final int CODES = 0x07070707;

  /** The code above that, eight times too large. */
  private static final int EIGHTFOLD = 0x38383838;

  private W3Triple() {}

  /** Fields 6 and 7 of a triple: two bits of each byte of its three words. */
  static int six(int a, int b, int d) {
    return ((a >> 2) & 0x30303030) | ((b >> 4) & 0x0c0c0c0c) | ((d >> 6) & 0x03030303);
  }

  /** Adds the products of a triple's even fields to sum. */
  static int even(int sum, int a, int b, int d, int six, int q0, int q2, int q4, int q6) {
    int ones = FourBytes.dot(a & CODES, q0, sum);
    ones = FourBytes.dot(b & CODES, q2, ones);
    ones = FourBytes.dot(d & CODES, q4, ones);
    return FourBytes.dot(six & CODES, q6, ones);
  }

  /** Adds the products of a triple's odd fields to sum, eight times too large. */
  static int odd(int sum, int a, int b, int d, int six, int q1, int q3, int q5, int q7) {
    int eights = FourBytes.dot(a & EIGHTFOLD, q1, sum);
    eights = FourBytes.dot(b & EIGHTFOLD, q3, eights);
    eights = FourBytes.dot(d & EIGHTFOLD, q5, eights);
    return FourBytes.dot(six & EIGHTFOLD, q7, eights);
  }
}

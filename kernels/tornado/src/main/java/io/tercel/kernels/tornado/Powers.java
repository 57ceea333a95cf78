package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * A table of powers of two, which stands for the bit casts that kernels lack: what the exponent
 * bits of a bf16 or an fp16 mean, and 2^n.
 */
final class Powers {
  /** Entry of bf16's nine sign and exponent bits: the value of the mantissa's lowest bit. */
  static final int BF16 = 0;

  /** Entry of fp16's six sign and exponent bits, likewise. */
  static final int FP16 = 512;

  /** Entry TWO + n is 2^n, -126 to 127. */
  static final int TWO = 576 + 127;

  /** Entry of -0, which the compiler must not know: see {@link Arithmetic#product}. */
  static final int MINUS_ZERO = TWO + 128;

  private static final int SIZE = 576 + 256;

  private Powers() {}

  static FloatArray table() {
    FloatArray table = new FloatArray(SIZE);
    for (int i = 0; i < 512; i++) {
      int exponent = i & 255;
      float unit =
          exponent == 255 ? Float.POSITIVE_INFINITY : Math.scalb(1f, Math.max(exponent, 1) - 134);
      table.set(BF16 + i, i >= 256 ? -unit : unit);
    }
    for (int i = 0; i < 64; i++) {
      int exponent = i & 31;
      float unit = exponent == 31 ? Float.NaN : Math.scalb(1f, Math.max(exponent, 1) - 25);
      table.set(FP16 + i, i >= 32 ? -unit : unit);
    }
    for (int n = -127; n <= 127; n++) {
      table.set(TWO + n, Math.scalb(1f, n));
    }
    table.set(MINUS_ZERO, -0f);
    return table;
  }
}

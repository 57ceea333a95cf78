package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.utils.QuantizationUtils;

/** Four signed bytes in an int, and their products: what linear layers of integers consist of. */
final class FourBytes {
  private FourBytes() {}

  /**
   * c + the products of a's bytes and b's, byte by byte, on any device. The build makes of kernels
   * that use it others that use {@link #dp4a}.
   */
  static int dot(int a, int b, int c) {
    int sum = c + ((a << 24) >> 24) * ((b << 24) >> 24);
    sum += ((a << 16) >> 24) * ((b << 16) >> 24);
    sum += ((a << 8) >> 24) * ((b << 8) >> 24);
    return sum + (a >> 24) * (b >> 24);
  }

  /** The same as one instruction, which only CUDA devices have. */
  static int dp4a(int a, int b, int c) {
    return QuantizationUtils.dp4a_packed(a, b, c);
  }

  /** The lowest bytes of four ints, a's below. */
  static int of(int a, int b, int c, int d) {
    return (a & 255) | ((b & 255) << 8) | ((c & 255) << 16) | (d << 24);
  }

  /** What remains of a 16-bit code above its lowest byte, that one taken as signed. */
  static int high(int code) {
    return (code - ((code << 24) >> 24)) >> 8;
  }
}

package io.tercel.kernels.jit;

/**
 * How a 64-byte vector of weight codes is taken apart, and what it is multiplied with. Every byte
 * holds two fields, {@code low} and {@code high}, which are masked in place: the high one's
 * products come out {@code 2^shift} times too large and are shifted back in the sum. Where fields
 * of 3 bits leave the top two bits of a byte over, those of three vectors make two fields more.
 *
 * <p>With a high mask of 0 a byte is one field, and nothing is masked.
 *
 * @param low the mask of the low field of a byte
 * @param high the mask of the high field
 * @param shift the high field's lowest bit
 * @param spare whether three vectors share two more fields in their bits 6 and 7
 * @param dots signed bytes an activation has: 2 (low and high byte of 16 bits) or 1
 * @param perRow whether scales are those of whole rows, behind a tile's last block: else each block
 *     has its own
 */
record Codes(int low, int high, int shift, boolean spare, int dots, boolean perRow) {
  /** Codes of 3 bits by activations of 16. */
  static final Codes W3 = new Codes(0x07, 0x38, 3, true, 2, false);

  /** Codes of 8 bits by activations of 16: the bytes are fields as they lie. */
  static final Codes INT8 = new Codes(0xff, 0, 0, false, 2, false);

  /** Codes of 4 bits by activations of 4, with one scale a row and a token. */
  static final Codes W4 = new Codes(0x0f, 0xf0, 4, false, 1, true);

  /** Bytes of a vector. */
  static final int VECTOR = 64;

  /** Output rows of a block: the lanes. */
  static final int ROWS = VECTOR / Integer.BYTES;

  /** Inputs of a group. */
  static final int GROUP = 128;

  /** Fields of a group in a row: each is four columns, one a byte. */
  static final int FIELDS = GROUP / Integer.BYTES;

  /** Vectors that are taken apart together. */
  int setVectors() {
    return spare ? 3 : 1;
  }

  /** Whether a byte is one field. */
  boolean whole() {
    return high == 0;
  }

  /** Fields that come out of them. */
  int setFields() {
    return (whole() ? 1 : 2) * setVectors() + (spare ? 2 : 0);
  }

  /** Sets of a group. */
  int sets() {
    return FIELDS / setFields();
  }

  /** Bytes of a block's codes: where its 16 fp16 scales are, if it has any. */
  int scalesOffset() {
    return sets() * setVectors() * VECTOR;
  }

  /** Where its 16 zero points are, a byte each. */
  int zerosOffset() {
    return scalesOffset() + ROWS * Short.BYTES;
  }

  /** Bytes of a block: 16 rows by a group. */
  int blockBytes() {
    return scalesOffset() + (perRow ? 0 : VECTOR);
  }

  /** Bytes of a group's activations of one token: all low bytes, then all high ones. */
  int inputBytes() {
    return dots * GROUP;
  }
}

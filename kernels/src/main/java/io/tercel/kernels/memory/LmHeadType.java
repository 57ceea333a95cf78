package io.tercel.kernels.memory;

import io.tercel.kernels.format.QuantFormat;

/** How the head, the last linear layer, is kept in memory. */
public enum LmHeadType {
  /** As the checkpoint stores it; a tied one is the embedding itself. */
  STORED("auto"),
  /**
   * Eight bits, symmetric, with an fp16 scale a row and 128 columns, see {@link
   * io.tercel.kernels.format.Int8Block}. A tied head is then a matrix of its own, and the embedding
   * stays what it is.
   */
  INT8("int8");

  private final String label;

  LmHeadType(String label) {
    this.label = label;
  }

  /** Its name on the command line. */
  public String label() {
    return label;
  }

  /** The format of a head that is stored as {@code stored}. */
  QuantFormat format(QuantFormat stored) {
    return switch (this) {
      case STORED -> stored;
      case INT8 -> QuantFormat.Grouped.INT8G128;
    };
  }
}

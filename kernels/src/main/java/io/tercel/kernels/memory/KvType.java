package io.tercel.kernels.memory;

/** How keys and values are stored. */
public enum KvType {
  FP32("fp32", 32),
  FP16("fp16", 16),
  /** Four bits, asymmetric: a scale and a zero point for each token and head, K and V apart. */
  INT4("int4", 4);

  private final String label;
  private final int bits;

  KvType(String label, int bits) {
    this.label = label;
    this.bits = bits;
  }

  /** Its name on the command line. */
  public String label() {
    return label;
  }

  /** Bits of an element, scales apart. */
  public int bits() {
    return bits;
  }
}

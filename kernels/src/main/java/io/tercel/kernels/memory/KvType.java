package io.tercel.kernels.memory;

/** How keys and values are stored. */
public enum KvType {
  FP32("fp32", 4),
  FP16("fp16", 2);

  private final String label;
  private final int elementBytes;

  KvType(String label, int elementBytes) {
    this.label = label;
    this.elementBytes = elementBytes;
  }

  /** Its name on the command line. */
  public String label() {
    return label;
  }

  public int elementBytes() {
    return elementBytes;
  }
}

package io.tercel.kernels.memory;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat;

/** How keys and values are stored. */
public enum KvType {
  FP32("fp32", 32),
  FP16("fp16", 16),
  /** Four bits, asymmetric: a scale and a zero point for each token and head, K and V apart. */
  INT4("int4", 4);

  /** Heads as wide as this, and wider, are stored in four bits where the weights are coarse. */
  private static final int WIDE_HEAD = 64;

  /**
   * Biases of keys up to this leave the error of 4 bits about as it is without; docs/performance.md
   * has what it is beyond.
   */
  private static final float LARGEST_KEY_BIAS = 4;

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

  /**
   * What {@code auto} stands for. Four bits where linears take inputs of four, since such models
   * are made for it and bring what their keys need. Four bits too where linears have three and
   * heads are at least 64 wide: there the error of the cache lies below that of the weights, and
   * long generations are bound by its bytes; but not where biases make outliers of some channels of
   * the keys (Qwen2), whose scale then fits no other channel. Otherwise 16: narrow heads average
   * rounding over too few elements, and models of full precision are served at what they were asked
   * for.
   */
  public static KvType automatic(ModelConfig config, WeightPlan weights) {
    boolean coarse =
        weights.matrices().stream().anyMatch(m -> m.format() == QuantFormat.Grouped.W3G128);
    boolean four = weights.matrices().stream().anyMatch(m -> m.format() == QuantFormat.PerRow.W4A4);
    boolean packable = config.headDim() % KvLayout.WORD_DIMS == 0;
    boolean wide = config.headDim() >= WIDE_HEAD && packable;
    boolean even = weights.largestKeyBias() <= LARGEST_KEY_BIAS;
    return four && packable || coarse && wide && even ? INT4 : FP16;
  }
}

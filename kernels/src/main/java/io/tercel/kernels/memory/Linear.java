package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import org.jspecify.annotations.Nullable;

/** A linear layer: y = W x + b, with W packed and b either null or one float an output. */
public final class Linear {
  private final PackedMatrix weight;
  private final float @Nullable [] bias;
  private final InputSpec input;

  public Linear(PackedMatrix weight, float @Nullable [] bias) {
    this(weight, bias, InputSpec.of(weight));
  }

  private Linear(PackedMatrix weight, float @Nullable [] bias, InputSpec input) {
    if (bias != null && bias.length != weight.rows()) {
      throw new IllegalArgumentException(
          "%s: a bias of %d for %d outputs".formatted(weight.name(), bias.length, weight.rows()));
    }
    this.weight = weight;
    this.bias = bias;
    this.input = input;
  }

  /**
   * A layer of 4-bit inputs.
   *
   * @param transform what happens to them before they are rounded; of this width
   */
  public Linear(PackedMatrix weight, float @Nullable [] bias, InputTransform transform) {
    this(weight, bias, new InputSpec.Int4PerToken(transform.requireWidth(weight.cols())));
    if (!(InputSpec.of(weight) instanceof InputSpec.Int4PerToken)) {
      throw new IllegalArgumentException(
          "%s: %s weights take no transformed input"
              .formatted(weight.name(), weight.format().label()));
    }
  }

  public PackedMatrix weight() {
    return weight;
  }

  public float @Nullable [] bias() {
    return bias;
  }

  /** How it wants its input. */
  public InputSpec input() {
    return input;
  }
}

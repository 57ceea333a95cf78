package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import org.jspecify.annotations.Nullable;

/** A linear layer: y = W x + b, with W packed and b either null or one float an output. */
public final class Linear {
  private final PackedMatrix weight;
  private final float @Nullable [] bias;
  private final InputSpec input;

  public Linear(PackedMatrix weight, float @Nullable [] bias) {
    if (bias != null && bias.length != weight.rows()) {
      throw new IllegalArgumentException(
          "%s: a bias of %d for %d outputs".formatted(weight.name(), bias.length, weight.rows()));
    }
    this.weight = weight;
    this.bias = bias;
    this.input = InputSpec.of(weight);
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

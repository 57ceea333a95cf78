package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What a linear layer wants its input prepared to. It is a matter of the weight's format, and of
 * the order of its columns; layers with equal specs share a prepared input.
 */
public sealed interface InputSpec
    permits InputSpec.Plain, InputSpec.Int16PerGroup, InputSpec.Int4PerToken {

  /** What a layer with this weight wants. */
  static InputSpec of(PackedMatrix weight) {
    return switch (weight.format()) {
      case Dense _ -> new Plain();
      case Grouped.W3G128, Grouped.INT8G128 -> new Int16PerGroup(weight.inputOrder());
      case PerRow.W4A4 -> new Int4PerToken(InputTransform.NONE);
    };
  }

  /** Floats as they are: for dense weights. */
  record Plain() implements InputSpec {}

  /**
   * Integers of 16 bits with a scale per token and group of 128, as {@code ops.GroupedInts} says:
   * for 3-bit and 8-bit weights.
   */
  final class Int16PerGroup implements InputSpec {
    private final int @Nullable [] inputOrder;

    /**
     * @param inputOrder packed column j reads input {@code inputOrder[j]} (GPTQ act-order); null
     *     where it reads input j
     */
    public Int16PerGroup(int @Nullable [] inputOrder) {
      this.inputOrder = inputOrder;
    }

    /** The order in which inputs are gathered before they are grouped; null for their own. */
    public int @Nullable [] inputOrder() {
      return inputOrder;
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Int16PerGroup spec && Arrays.equals(inputOrder, spec.inputOrder);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(inputOrder);
    }
  }

  /**
   * Integers of 4 bits with a scale and a zero point per token, as {@code ops.RowInts} says, after
   * a transform: for 4-bit weights. Equal where the transform is the same instance.
   */
  record Int4PerToken(InputTransform transform) implements InputSpec {}
}

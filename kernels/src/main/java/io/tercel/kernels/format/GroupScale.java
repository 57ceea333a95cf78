package io.tercel.kernels.format;

/** A group's scale as it is in the file: one that fp16 can hold exactly, or it is refused. */
final class GroupScale {
  private GroupScale() {}

  /**
   * Its fp16 bits.
   *
   * @param scales F16, BF16 or F32
   * @param index of the element
   * @param group for the error, as {@code row}
   * @throws CheckpointException if it is not finite, or not exactly an fp16
   */
  static short bits(Tensor scales, long index, int group, int row) {
    float value = scales.floatAt(index);
    short bits = Float.floatToFloat16(value);
    String wrong = null;
    if (!Float.isFinite(value)) {
      wrong = "a finite number";
    } else if (Float.float16ToFloat(bits) != value) {
      wrong = "one that fp16 can hold exactly";
    }
    if (wrong != null) {
      throw new CheckpointException(
          "%s has the scale %s for group %d of output %d; expected %s"
              .formatted(scales.where(), value, group, row, wrong));
    }
    return bits;
  }
}

package io.tercel.kernels.memory;

import java.util.Locale;

/**
 * How far a matrix that was rounded to fewer bits lies from what it was.
 *
 * @param relative root mean square of the differences over that of the weights
 * @param worstRow the same of the row where it is largest
 */
public record RoundingLoss(double relative, double worstRow) {
  /** In one phrase: {@code 0.41 % of the weights' size, 0.62 % in the worst row}. */
  public String describe() {
    return String.format(
        Locale.ROOT,
        "%.2f %% of the weights' size, %.2f %% in the worst row",
        100 * relative,
        100 * worstRow);
  }
}

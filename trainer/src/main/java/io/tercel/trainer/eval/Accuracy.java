package io.tercel.trainer.eval;

import java.util.Locale;

/** How many of how many were right, and how sure that is. */
public record Accuracy(int correct, int total) {
  public Accuracy {
    if (correct < 0 || correct > total) {
      throw new IllegalArgumentException(correct + " of " + total);
    }
  }

  /** The share that was right; NaN of nothing. */
  public double mean() {
    return total == 0 ? Double.NaN : (double) correct / total;
  }

  /** The binomial standard error: sqrt(p(1-p)/n). */
  public double standardError() {
    double p = mean();
    return Math.sqrt(p * (1 - p) / total);
  }

  /** In percent, such as {@code 82.40 % ± 1.70 (412/500)}. */
  @Override
  public String toString() {
    return total == 0
        ? "none"
        : String.format(
            Locale.ROOT,
            "%.2f %% ± %.2f (%d/%d)",
            100 * mean(),
            100 * standardError(),
            correct,
            total);
  }
}

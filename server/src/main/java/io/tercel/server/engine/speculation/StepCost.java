package io.tercel.server.engine.speculation;

/**
 * What a step takes, by its rows: {@code base + perRow * rows}, a line through the latest steps
 * (least squares, older ones fading). Steps are as long as the weights take to be read, and a bit
 * longer for each row; how much is the machine's and the model's.
 *
 * <p>Steps of one and the same size tell nothing of the slope; then, and in the beginning, a row is
 * taken to cost {@value #PRIOR_SHARE} of a step.
 */
final class StepCost {
  /** Of a step of one row. */
  static final double PRIOR_SHARE = 0.25;

  /** Steps with more rows are no decode's: their line is another one. */
  static final int MOST_ROWS = 64;

  /** The weight of all steps before, at each. */
  private static final double FADING = 0.98;

  /** Spread of the rows, squared, that tells as much as the prior. */
  private static final double PRIOR_WEIGHT = 0.1;

  /** What a step takes beyond so many times what it should have is others' doing. */
  private static final double OUTLIER = 1.5;

  private double weight;
  private double meanRows;
  private double meanNanos;
  private double spread; // of the rows
  private double common; // of rows and time

  /** A step was done. */
  void took(int rows, long nanos) {
    if (rows > MOST_ROWS || nanos <= 0) {
      return;
    }
    double most = weight > 8 ? OUTLIER * (base() + perRow() * rows) : Double.MAX_VALUE;
    double y = Math.min(nanos, most);
    weight = FADING * weight + 1;
    double part = 1 / weight;
    double dx = rows - meanRows;
    double dy = y - meanNanos;
    meanRows += part * dx;
    meanNanos += part * dy;
    spread = (1 - part) * (spread + part * dx * dx);
    common = (1 - part) * (common + part * dx * dy);
  }

  /** Nanoseconds that each row adds; above 0. */
  double perRow() {
    double prior = meanNanos * PRIOR_SHARE / (1 + PRIOR_SHARE * Math.max(0, meanRows - 1));
    double slope = (common + PRIOR_WEIGHT * prior) / (spread + PRIOR_WEIGHT);
    double even = meanNanos / Math.max(1, meanRows); // rows alone, no base
    return Math.clamp(slope, 0.001 * even + 1e-9, even + 1e-9);
  }

  /** Nanoseconds of a step without rows; not below 0. */
  double base() {
    return Math.max(0, meanNanos - perRow() * meanRows);
  }
}

package io.tercel.trainer.torch;

/**
 * A learning rate that rises linearly over the warm-up and falls along a cosine to a last fraction.
 *
 * @param peak the rate at the end of the warm-up
 * @param steps of the whole run, warm-up included
 * @param warmup steps; step w - 1 is the first at the peak
 * @param finalFraction of the peak, reached at the last step
 */
public record Schedule(double peak, int steps, int warmup, double finalFraction) {
  public Schedule {
    if (!(peak > 0) || steps < 1 || warmup < 0 || !(finalFraction >= 0 && finalFraction <= 1)) {
      throw new IllegalArgumentException(
          "rate %s, %d steps, warm-up %d, last fraction %s"
              .formatted(peak, steps, warmup, finalFraction));
    }
  }

  /**
   * @param step from 0 on
   */
  public double rate(int step) {
    if (step < warmup) {
      return peak * (step + 1) / warmup;
    }
    int span = steps - 1 - Math.max(0, warmup - 1);
    double done = span <= 0 ? 1 : Math.min(1, (step - Math.max(0, warmup - 1)) / (double) span);
    double cosine = (1 + Math.cos(Math.PI * done)) / 2;
    return peak * (finalFraction + (1 - finalFraction) * cosine);
  }
}

package io.tercel.trainer.run;

import java.time.Duration;

/** How fast steps are taken, from when this is made on, and so how long the others will take. */
final class RunPace {
  private final int total;
  private final int begun;
  private final long startNanos = System.nanoTime();

  /**
   * @param begun steps that were done before
   */
  RunPace(int total, int begun) {
    this.total = total;
    this.begun = begun;
  }

  /** What the rest takes at the pace so far; zero where no step has been taken yet. */
  Duration left(int stepsDone) {
    double seconds = (System.nanoTime() - startNanos) / 1e9 / Math.max(1, stepsDone - begun);
    return stepsDone <= begun
        ? Duration.ZERO
        : Duration.ofMillis(Math.round(1e3 * seconds * (total - stepsDone)));
  }
}

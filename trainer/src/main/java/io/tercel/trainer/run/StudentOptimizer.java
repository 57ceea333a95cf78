package io.tercel.trainer.run;

import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TrainedPart;
import io.tercel.trainer.torch.AdamW;
import io.tercel.trainer.torch.Parameter;
import io.tercel.trainer.torch.Schedule;

/** A student's optimizer: Adam with the paper's betas, and a rate for each part. */
public final class StudentOptimizer {
  private final AdamW adam;
  private final Schedule schedule;
  private final double clipNorm;

  /** Of what the student trains, one update a step. */
  public StudentOptimizer(QatModel student, OptimizerOptions options) {
    this(student, options, 1);
  }

  /**
   * Of what the student trains.
   *
   * @param updates of each of the run's steps; each has a rate of its own
   */
  public StudentOptimizer(QatModel student, OptimizerOptions options, int updates) {
    adam =
        AdamW.of(student.trained(), options.weightDecay())
            .withRates(parameter -> rate(parameter, options) / options.rate());
    schedule =
        new Schedule(
            options.rate(),
            Math.multiplyExact(updates, options.steps()),
            options.warmup(),
            options.finalShare());
    clipNorm = options.clipNorm();
  }

  private static double rate(Parameter parameter, OptimizerOptions options) {
    return switch (TrainedPart.of(parameter)) {
      case SCALES -> options.scaleRate();
      case TRANSFORMS -> options.transformRate();
      case CLIPS -> options.clipRate();
      case LATENTS, NORMS, BIASES, EMBEDDING -> options.rate();
      case null -> throw new IllegalStateException(parameter.name() + " is never trained");
    };
  }

  /** Moments and all. */
  public AdamW adam() {
    return adam;
  }

  /** The rate of latents at an update, from 0 on. */
  public double rate(int step) {
    return schedule.rate(step);
  }

  /**
   * Takes a step.
   *
   * @param step of all updates, from 0 on
   * @return the gradient's norm before it was clipped
   * @throws ArithmeticException if it isn't finite; nothing has moved then
   */
  public double step(int step) {
    return adam.step(rate(step), clipNorm);
  }
}

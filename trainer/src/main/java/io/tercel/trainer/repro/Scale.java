package io.tercel.trainer.repro;

import java.util.List;

/** How much is spent on a table. */
enum Scale {
  /** Seconds: that everything goes through, with a model that can do nothing. */
  SMOKE(
      new Training("", 3, 4, 1),
      new Rollouts(2, 4, 4, 1, 24),
      new Measuring(16, 12, 4, 40, List.of(42), 24)),
  /** Minutes, once there is a model: the order of rows shows, with wide errors. */
  SHORT(
      new Training("specimen", 100, 32, 5),
      new Rollouts(10, 32, 8, 2, 160),
      new Measuring(128, 200, 100, 4000, List.of(42, 43, 44), 160)),
  /** What the differences between rows need. */
  FULL(
      new Training("specimen", 400, 32, 15),
      new Rollouts(50, 64, 16, 4, 160),
      new Measuring(128, 2000, 200, 15_000, List.of(42, 43, 44), 160));

  final Training training;
  final Rollouts rollouts;
  final Measuring measuring;

  Scale(Training training, Rollouts rollouts, Measuring measuring) {
    this.training = training;
    this.rollouts = rollouts;
    this.measuring = measuring;
  }

  /**
   * Of supervised training.
   *
   * @param recipe of the model, by its bundled name; empty for {@link #SMOKE_RECIPE}
   * @param steps of distillation and fine-tuning
   * @param epochs of FlatQuant
   */
  record Training(String recipe, int steps, int batch, int epochs) {}

  /**
   * Of reinforcement learning.
   *
   * @param batch prompts a step
   * @param group answers to each
   */
  record Rollouts(int steps, int batch, int group, int updates, int maxTokens) {}

  /**
   * Of calibration and evaluation.
   *
   * @param samples to calibrate with
   * @param problems to be asked
   * @param tried of them on the way of a run, for its curves
   * @param strange texts of another domain, to learn from
   */
  record Measuring(
      int samples, int problems, int tried, int strange, List<Integer> seeds, int maxTokens) {
    Measuring {
      seeds = List.copyOf(seeds);
    }
  }

  /** A model that is trained in seconds. */
  static final String SMOKE_RECIPE =
      """
      model.hidden=64
      model.ffn=128
      model.layers=2
      model.heads=2
      model.kvHeads=1
      model.headDim=32
      model.positions=512
      family.parts=1
      family.mod=1
      family.wallet=1
      family.sum=1
      family.base=1
      format=tight
      stages=20:3e-3
      batch=8
      warmup=4
      evaluateEvery=100
      saveEvery=100
      heldOut=4
      """;
}

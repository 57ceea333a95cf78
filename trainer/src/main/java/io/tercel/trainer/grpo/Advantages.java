package io.tercel.trainer.grpo;

/** How much better an answer was than the others of its group. */
enum Advantages {
  /** (r - mean) / (std + 1e-4), with the sample's deviation: GRPO as DeepSeekMath has it. */
  STD,
  /** r - mean: without the weight that a deviation gives to hard and easy prompts (Dr. GRPO). */
  MEAN;

  private static final double LEAST_DEVIATION = 1e-4;

  /** Of a group's rewards; 0 for all where they are equal. */
  double[] of(double[] rewards) {
    double mean = 0;
    for (double reward : rewards) {
      mean += reward / rewards.length;
    }
    double squares = 0;
    boolean equal = true;
    for (double reward : rewards) {
      squares += (reward - mean) * (reward - mean);
      equal &= reward == rewards[0];
    }
    double[] advantages = new double[rewards.length];
    if (equal) {
      return advantages;
    }
    double deviation = Math.sqrt(squares / (rewards.length - 1));
    for (int i = 0; i < rewards.length; i++) {
      double above = rewards[i] - mean;
      advantages[i] = this == MEAN ? above : above / (deviation + LEAST_DEVIATION);
    }
    return advantages;
  }
}

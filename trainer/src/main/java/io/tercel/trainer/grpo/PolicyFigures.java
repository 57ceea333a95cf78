package io.tercel.trainer.grpo;

/** Sums over the tokens of an update. */
final class PolicyFigures {
  private long tokens;
  private long clipped;
  private double difference;
  private double largestRatio = 1;
  private double entropy;
  private double loss;

  /**
   * A token.
   *
   * @param engine the engine's log-probability of it
   */
  void add(double logProb, double engine, double tokenEntropy, boolean cut) {
    tokens++;
    clipped += cut ? 1 : 0;
    difference += Math.abs(logProb - engine);
    largestRatio = Math.max(largestRatio, Math.exp(Math.abs(logProb - engine)));
    entropy += tokenEntropy;
  }

  /** Adds what another has been told. */
  void add(PolicyFigures other) {
    tokens += other.tokens;
    clipped += other.clipped;
    difference += other.difference;
    largestRatio = Math.max(largestRatio, other.largestRatio);
    entropy += other.entropy;
    loss += other.loss;
  }

  /** The loss of the update. */
  void loss(double value) {
    loss = value;
  }

  /** Sum of the losses of updates. */
  double loss() {
    return loss;
  }

  long tokens() {
    return tokens;
  }

  /** Share of tokens whose slope the clip has cut off. */
  double clipFraction() {
    return tokens == 0 ? 0 : (double) clipped / tokens;
  }

  /** Mean |log p - log p of the engine|. */
  double meanDifference() {
    return tokens == 0 ? 0 : difference / tokens;
  }

  /** Largest of p / p of the engine and its inverse. */
  double largestRatio() {
    return largestRatio;
  }

  /** Mean entropy of the distributions that tokens were drawn from, in nats. */
  double entropy() {
    return tokens == 0 ? 0 : entropy / tokens;
  }
}

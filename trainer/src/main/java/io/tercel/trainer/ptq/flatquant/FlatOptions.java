package io.tercel.trainer.ptq.flatquant;

/**
 * How FlatQuant learns.
 *
 * @param epochs passes over the calibration for each layer
 * @param batch sequences a step
 * @param rate peak learning rate of transforms and scales; clips have ten times as much
 * @param seed of the first transforms and the order of sequences
 */
public record FlatOptions(int epochs, int batch, double rate, long seed) {
  public FlatOptions {
    if (epochs < 0 || batch < 1 || !(rate > 0)) {
      throw new IllegalArgumentException(epochs + " epochs, batch " + batch + ", rate " + rate);
    }
  }

  /** The paper's: 15 epochs, 4 sequences a step, 5e-3. */
  public static FlatOptions standard(long seed) {
    return new FlatOptions(15, 4, 5e-3, seed);
  }
}

package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;
import io.tercel.trainer.qat.RowLoss.RowGradient;

/**
 * Log-probabilities of the tokens that came next at some rows, and what a loss of them alone gives
 * back to the logits: d log p(t) / d logits = onehot(t) - p.
 */
public final class TokenLogProbs {
  private final NDArray logProbs; // [rows][vocab]
  private final NDArray chosen; // [rows]: where the tokens' own stand in it
  private final float[] values;

  private TokenLogProbs(NDArray logProbs, NDArray chosen) {
    this.logProbs = logProbs;
    this.chosen = chosen;
    this.values = logProbs.take(chosen).toFloatArray();
  }

  /**
   * Of the rows from {@code first} on.
   *
   * @param logits [rows][vocab]
   */
  public static TokenLogProbs of(NDArray logits, int first, TokenBatch batch) {
    int count = Math.toIntExact(logits.getShape().get(0));
    long vocab = logits.getShape().get(1);
    long[] chosen = new long[count];
    for (int i = 0; i < count; i++) {
      chosen[i] = i * vocab + batch.targets()[first + i];
    }
    return new TokenLogProbs(logits.logSoftmax(-1), logits.getManager().create(chosen));
  }

  /** One for each row. */
  public float[] values() {
    return values;
  }

  /** Entropy of each row's distribution, in nats. */
  public float[] entropies() {
    return logProbs.exp().mul(logProbs).sum(new int[] {1}).neg().toFloatArray();
  }

  /**
   * The loss -sum w log p of all rows, with a gradient of its own factors where the loss is no
   * plain sum of log-probabilities.
   *
   * @param losses what a row's -log p counts in the loss
   * @param slopes -d loss / d log p of each row; the same array for a plain sum
   */
  public RowGradient weighted(float[] losses, float[] slopes) {
    double loss = 0;
    for (int i = 0; i < values.length; i++) {
      loss -= (double) losses[i] * values[i];
    }
    return new RowGradient(loss, gradient(slopes));
  }

  /**
   * The gradient in the logits of a loss with these slopes, -d loss / d log p of each row: slope (p
   * - onehot).
   */
  public NDArray gradient(float[] slopes) {
    NDArray factors = logProbs.getManager().create(slopes);
    NDArray spread = logProbs.exp().mul(factors.reshape(slopes.length, 1));
    return spread.put(chosen, spread.take(chosen).sub(factors));
  }
}

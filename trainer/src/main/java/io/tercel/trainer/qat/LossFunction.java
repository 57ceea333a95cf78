package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;

/** A loss of one batch's predictions. */
@FunctionalInterface
public interface LossFunction {
  /**
   * @param logits [rows of the batch][vocab]
   *     <p>It takes no operation of an array that needs a gradient with a Java number, such as
   *     {@code logits.mul(0.5)}: DJL frees the number before the backward pass reads it. An array
   *     that the logits' manager made of it lives long enough.
   * @return a scalar, differentiable in the logits
   */
  NDArray apply(NDArray logits, TokenBatch batch);

  /**
   * Weighted cross-entropy against the batch's own next tokens.
   *
   * @param totalWeight of the whole step, of which the batch may be a part: so the gradient does
   *     not depend on how a step is split
   */
  static LossFunction crossEntropy(double totalWeight) {
    return (logits, batch) -> {
      long count = batch.targets().length;
      NDArray targets = logits.getManager().create(batch.targets()).reshape(count, 1);
      float[] factors = new float[batch.weights().length];
      for (int i = 0; i < factors.length; i++) {
        factors[i] = (float) (-batch.weights()[i] / totalWeight);
      }
      NDArray weights = logits.getManager().create(factors).reshape(count, 1);
      NDArray picked = logits.logSoftmax(-1).gather(targets, 1);
      return picked.mul(weights).sum();
    };
  }
}

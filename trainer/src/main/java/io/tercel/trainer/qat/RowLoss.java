package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;

/**
 * A loss that is a sum over rows of predictions, with its gradient in closed form: rows come in
 * chunks, so that all rows' logits never exist at a time.
 */
@FunctionalInterface
public interface RowLoss {
  /**
   * Loss and gradient of some rows.
   *
   * @param logits [rows][vocab] of the batch's rows from {@code first} on; its manager's arrays
   *     live until this returns and its result was read
   * @param first of {@link TokenBatch#rows}
   */
  RowGradient at(NDArray logits, int first, TokenBatch batch);

  /**
   * What some rows add to the loss.
   *
   * @param loss their sum
   * @param logits its gradient, [rows][vocab]
   */
  record RowGradient(double loss, NDArray logits) {}

  /**
   * Weighted cross-entropy against the batch's own next tokens.
   *
   * @param totalWeight of the whole step, of which the batch may be a part: so the gradient does
   *     not depend on how a step is split
   */
  static RowLoss crossEntropy(double totalWeight) {
    return (logits, first, batch) -> {
      int count = Math.toIntExact(logits.getShape().get(0));
      float[] weights = new float[count];
      for (int i = 0; i < count; i++) {
        weights[i] = (float) (batch.weights()[first + i] / totalWeight);
      }
      return TokenLogProbs.of(logits, first, batch).weighted(weights, weights);
    };
  }

  /**
   * Forward KL divergence to a teacher over the whole vocabulary, sum p_T (log p_T - log p_S), each
   * row by its weight.
   *
   * @param teacher the teacher's logits of the same rows
   * @param totalWeight of the whole step
   */
  static RowLoss divergence(TeacherLogits teacher, double totalWeight) {
    return (logits, first, batch) -> {
      int count = Math.toIntExact(logits.getShape().get(0));
      float[] weights = new float[count];
      for (int i = 0; i < count; i++) {
        weights[i] = (float) (batch.weights()[first + i] / totalWeight);
      }
      var manager = logits.getManager();
      NDArray factors = manager.create(weights).reshape(count, 1);
      NDArray ofTeacher = teacher.at(manager, first, count).logSoftmax(-1);
      NDArray ofStudent = logits.logSoftmax(-1);
      NDArray likely = ofTeacher.exp();
      double loss = likely.mul(ofTeacher.sub(ofStudent)).mul(factors).sum().getFloat();
      return new RowGradient(loss, ofStudent.exp().sub(likely).mul(factors));
    };
  }

  /** What a teacher says of a batch's rows. */
  @FunctionalInterface
  interface TeacherLogits {
    /** [count][vocab] of the rows from {@code first} on, in arrays of the manager. */
    NDArray at(ai.djl.ndarray.NDManager manager, int first, int count);
  }
}

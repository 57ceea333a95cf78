package io.tercel.trainer.grpo;

import ai.djl.ndarray.NDArray;
import io.tercel.trainer.grpo.PolicyObjective.Term;
import io.tercel.trainer.qat.RowLoss;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenLogProbs;

/**
 * {@link PolicyObjective} over the rows of one micro-batch, row by row in the batch's order, and
 * what there is to be told of it.
 */
final class PolicyLoss implements RowLoss {
  private final PolicyObjective objective;
  private final Rows rows;
  private final PolicyFigures figures;

  /**
   * What is known of each row before the pass; arrays of one length.
   *
   * @param engine the engine's log-probabilities of what it drew
   * @param old log-probabilities that ratios are taken against
   * @param advantages of the answers that the rows are of
   * @param weights what each counts in the step's loss
   * @param reference the reference's log-probabilities, or of no length
   * @param means mean log p - log p_old of the rows' answers where they share one ratio, or of no
   *     length
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on; never compared
  record Rows(
      double[] engine,
      double[] old,
      double[] advantages,
      double[] weights,
      double[] reference,
      double[] means) {}

  PolicyLoss(PolicyObjective objective, Rows rows, PolicyFigures figures) {
    this.objective = objective;
    this.rows = rows;
    this.figures = figures;
  }

  @Override
  public RowGradient at(NDArray logits, int first, TokenBatch batch) {
    TokenLogProbs logProbs = TokenLogProbs.of(logits, first, batch);
    float[] entropies = logProbs.entropies();
    float[] values = logProbs.values();
    float[] slopes = new float[values.length];
    double loss = 0;
    for (int i = 0; i < values.length; i++) {
      int row = first + i;
      Term term = term(row, values[i]);
      double weight = rows.weights[row];
      loss += weight * term.loss();
      slopes[i] = (float) (-weight * term.slope());
      figures.add(values[i], rows.engine[row], entropies[i], term.clipped());
    }
    return new RowGradient(loss, logProbs.gradient(slopes));
  }

  private Term term(int row, double logProb) {
    if (rows.means.length > 0) {
      return objective.sequence(rows.means[row], rows.advantages[row]);
    }
    double reference = rows.reference.length > 0 ? rows.reference[row] : logProb;
    return objective.token(logProb, rows.old[row], rows.advantages[row], reference);
  }
}

package io.tercel.trainer.grpo;

import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.qat.TokenLogProbs;
import io.tercel.trainer.run.MicroBatches;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The gradient of the objective over some samples, in micro-batches. */
final class PolicyUpdate {
  private final QatModel policy;
  private final @Nullable QatModel reference;
  private final GrpoOptions options;
  private final int microTokens;

  /**
   * @param reference for KL to the start, or null
   * @param microTokens that are computed at a time
   */
  PolicyUpdate(
      QatModel policy, @Nullable QatModel reference, GrpoOptions options, int microTokens) {
    this.policy = policy;
    this.reference = reference;
    this.options = options;
    this.microTokens = microTokens;
  }

  /**
   * Adds the gradient of all samples to the policy's parameters.
   *
   * @param figures is told of every token
   * @return the loss
   */
  double accumulate(List<Sample> samples, PolicyFigures figures) {
    Map<Example, Sample> byExample = new IdentityHashMap<>();
    List<Example> examples = new ArrayList<>();
    for (Sample sample : samples) {
      Example example = sample.example();
      if (sample.advantage() != 0 && sample.drawn() > 0) {
        byExample.put(example, sample);
        examples.add(example);
      }
    }
    long tokens = byExample.values().stream().mapToLong(Sample::drawn).sum();
    double loss = 0;
    for (List<Example> part : MicroBatches.of(examples, microTokens)) {
      List<Sample> of = part.stream().map(byExample::get).toList();
      TokenBatch batch = TokenBatch.of(part);
      loss +=
          policy.backward(
              batch,
              new PolicyLoss(
                  options.objective(), rows(of, batch, tokens, examples.size()), figures));
    }
    if (!Double.isFinite(loss)) {
      throw new ArithmeticException("the loss is " + loss);
    }
    return loss;
  }

  private PolicyLoss.Rows rows(List<Sample> samples, TokenBatch batch, long tokens, int answers) {
    int count = batch.rows().length;
    double[] engine = new double[count];
    double[] advantages = new double[count];
    double[] weights = new double[count];
    int row = 0;
    for (Sample sample : samples) {
      double[] logProbs = sample.drawnLogProbs();
      double weight = options.sequenceMean() ? 1.0 / answers / logProbs.length : 1.0 / tokens;
      for (double logProb : logProbs) {
        engine[row] = logProb;
        advantages[row] = sample.advantage();
        weights[row++] = weight;
      }
    }
    boolean own = options.trainersLogProbs();
    double[] now = own || options.sequenceRatio() ? logProbs(policy, batch) : new double[0];
    if (own) {
      for (int i = 0; i < count; i++) {
        weights[i] *= Math.min(Math.exp(now[i] - engine[i]), options.importanceCap());
      }
    }
    double[] old = own ? now : engine;
    double[] means = options.sequenceRatio() ? means(samples, now, old) : new double[0];
    double[] ofReference =
        reference != null && options.objective().klWeight() > 0
            ? logProbs(reference, batch)
            : new double[0];
    return new PolicyLoss.Rows(engine, old, advantages, weights, ofReference, means);
  }

  private static double[] means(List<Sample> samples, double[] now, double[] old) {
    double[] means = new double[now.length];
    int row = 0;
    for (Sample sample : samples) {
      int count = sample.drawn();
      double sum = 0;
      for (int i = row; i < row + count; i++) {
        sum += now[i] - old[i];
      }
      java.util.Arrays.fill(means, row, row + count, sum / count);
      row += count;
    }
    return means;
  }

  /** Of the batch's rows, by a forward pass. */
  static double[] logProbs(QatModel model, TokenBatch batch) {
    double[] all = new double[batch.rows().length];
    model.evaluate(
        batch,
        (logits, first) -> {
          float[] values = TokenLogProbs.of(logits, first, batch).values();
          for (int i = 0; i < values.length; i++) {
            all[first + i] = values[i];
          }
        });
    return all;
  }

  /**
   * How far the policy is from its start: the mean over drawn tokens of exp(d) - d - 1 with d = log
   * p_start - log p; NaN where the start isn't kept.
   */
  double divergenceFromStart(List<Sample> samples) {
    QatModel start = reference;
    if (start == null) {
      return Double.NaN;
    }
    double sum = 0;
    long tokens = 0;
    List<Example> examples =
        samples.stream().filter(s -> s.drawn() > 0).map(Sample::example).toList();
    for (List<Example> part : MicroBatches.of(examples, microTokens)) {
      TokenBatch batch = TokenBatch.of(part);
      double[] now = logProbs(policy, batch);
      double[] then = logProbs(start, batch);
      for (int i = 0; i < now.length; i++) {
        double d = then[i] - now[i];
        sum += Math.exp(d) - d - 1;
      }
      tokens += now.length;
    }
    return tokens == 0 ? 0 : sum / tokens;
  }
}

package io.tercel.trainer.distill;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.DataSpec;
import io.tercel.trainer.data.TrainingSet;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.qat.TokenLogProbs;
import io.tercel.trainer.run.MicroBatches;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.student.GreedyAnswers;
import io.tercel.trainer.student.StudentOptions;
import io.tercel.trainer.student.StudentRun;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * What a student is tried on: the loss of held-out responses by the trainer's forward pass, and,
 * where there are answers to compare with and the student is served, its own greedy answers.
 */
final class HeldOut implements AutoCloseable {
  private final StudentRun run;
  private final TrainingSet examples;
  private final @Nullable GreedyAnswers answers;
  private final int count;
  private final int microTokens;

  private HeldOut(
      StudentRun run,
      StudentOptions options,
      TrainingSet examples,
      @Nullable GreedyAnswers answers) {
    this.run = run;
    this.examples = examples;
    this.answers = answers;
    this.count = options.evalCount();
    this.microTokens = options.optimizer().microTokens();
  }

  /**
   * Null where nothing was asked for.
   *
   * @param maxLength tokens of an example, and of an answer
   */
  static @Nullable HeldOut open(
      StudentRun run, StudentOptions options, int maxLength, Tokenizer tokenizer) {
    DataSpec spec = options.evaluationData();
    if (spec == null) {
      return null;
    }
    TrainingSet examples = TrainingSet.open(spec.withMaxLength(maxLength), tokenizer, _ -> {});
    return new HeldOut(run, options, examples, answers(run, spec, options.evalCount(), maxLength));
  }

  private static @Nullable GreedyAnswers answers(
      StudentRun run, DataSpec spec, int count, int maxTokens) {
    ServedStudent served = run.served();
    if (served == null) {
      return null;
    }
    try {
      return new GreedyAnswers(served, spec, count, maxTokens);
    } catch (UserException e) {
      LoggerFactory.getLogger(HeldOut.class).info("no answers are tried: {}", e.getMessage());
      return null;
    }
  }

  /** Adds to a line of the log what the student comes to. */
  void describe(ObjectNode line) {
    line.put("held_out_loss", loss(run.student()));
    if (answers != null) {
      answers.describe(line);
    }
  }

  /** Cross-entropy per token. */
  private double loss(QatModel student) {
    double[] sum = {0};
    long tokens = 0;
    for (List<Example> part : MicroBatches.of(examples.batch(0, count), microTokens)) {
      TokenBatch batch = TokenBatch.of(part);
      student.evaluate(
          batch,
          (logits, first) -> {
            for (float value : TokenLogProbs.of(logits, first, batch).values()) {
              sum[0] -= value;
            }
          });
      tokens += batch.rows().length;
    }
    return sum[0] / tokens;
  }

  @Override
  public void close() {
    examples.close();
    if (answers != null) {
      answers.close();
    }
  }
}

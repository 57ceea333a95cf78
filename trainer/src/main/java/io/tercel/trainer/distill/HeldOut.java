package io.tercel.trainer.distill;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.DataSpec;
import io.tercel.trainer.data.PromptSet;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.data.TrainingSet;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.qat.TokenLogProbs;
import io.tercel.trainer.rollout.GreedyAccuracy;
import io.tercel.trainer.run.MicroBatches;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.share.ServedStudent;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * What a student is tried on: the loss of held-out responses by the trainer's forward pass, and,
 * where there are answers to compare with and the student is served, its own greedy answers.
 */
final class HeldOut implements AutoCloseable {
  private static final long SEED = 20_000; // another order than training's

  private final TrainingSet examples;
  private final @Nullable PromptSet prompts;
  private final int count;
  private final int microTokens;
  private final int maxTokens;

  private HeldOut(TrainingSet examples, @Nullable PromptSet prompts, DistillOptions options) {
    this.examples = examples;
    this.prompts = prompts;
    this.count = options.evalCount();
    this.microTokens = options.optimizer.microTokens();
    this.maxTokens = options.maxLength();
  }

  /** Null where nothing was asked for. */
  static @Nullable HeldOut open(DistillOptions options, Tokenizer tokenizer) {
    String source = options.evalData;
    if (source == null) {
      return null;
    }
    DataSpec spec =
        options.spec(source).withSeed(SEED).withMaxLength(options.maxLength()).forEvaluation();
    return new HeldOut(
        TrainingSet.open(spec, tokenizer, _ -> {}), prompts(spec, tokenizer), options);
  }

  private static @Nullable PromptSet prompts(DataSpec spec, Tokenizer tokenizer) {
    try {
      return PromptSet.open(spec, tokenizer, _ -> {});
    } catch (UserException e) {
      LoggerFactory.getLogger(HeldOut.class).info("no answers are tried: {}", e.getMessage());
      return null;
    }
  }

  /** A line of the log. */
  ObjectNode evaluate(int step, QatModel student, @Nullable ServedStudent served) {
    ObjectNode line = RunLog.line(step);
    line.put("held_out_loss", loss(student));
    if (served != null && prompts != null) {
      List<Prompt> asked = prompts.batch(0, count);
      GreedyAccuracy accuracy =
          GreedyAccuracy.of(
              served.running().served().engine(),
              served.running().served().tokenizer(),
              asked,
              maxTokens);
      line.put("accuracy", accuracy.accuracy()).put("mean_length", accuracy.meanLength());
      line.put("cut_share", accuracy.cutShare());
      served
          .metrics()
          .gauge("accuracy", "Right answers to held-out prompts, greedy.")
          .accept(accuracy.accuracy());
    }
    return line;
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
    if (prompts != null) {
      prompts.close();
    }
  }
}

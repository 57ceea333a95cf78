package io.tercel.trainer.student;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.engine.Engine;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.DataSpec;
import io.tercel.trainer.data.PromptSet;
import io.tercel.trainer.rollout.GreedyAccuracy;
import io.tercel.trainer.share.ServedStudent;

/** Held-out prompts that a served student answers greedily, and how many of them rightly. */
public final class GreedyAnswers implements AutoCloseable {
  private final ServedStudent served;
  private final PromptSet prompts;
  private final int count;
  private final int maxTokens;

  /**
   * @param count prompts that are asked, from the first on
   * @param maxTokens of an answer
   * @throws io.tercel.server.UserException if the data has no prompts with answers
   */
  public GreedyAnswers(ServedStudent served, DataSpec data, int count, int maxTokens) {
    this.served = served;
    this.count = count;
    this.maxTokens = maxTokens;
    DataSpec fitting = data.withMaxLength(engine().maxModelLen() - 1); // room for a token
    prompts = PromptSet.open(fitting, tokenizer(), _ -> {});
  }

  private Engine engine() {
    return served.running().served().engine();
  }

  private Tokenizer tokenizer() {
    return served.running().served().tokenizer();
  }

  /** Adds to a line of the log what they have come to. */
  public void describe(ObjectNode line) {
    GreedyAccuracy accuracy =
        GreedyAccuracy.of(engine(), tokenizer(), prompts.batch(0, count), maxTokens);
    line.put("accuracy", accuracy.accuracy()).put("greedy_length", accuracy.meanLength());
    line.put("cut_share", accuracy.cutShare());
    served
        .metrics()
        .gauge("accuracy", "Right answers to held-out prompts, greedy.")
        .accept(accuracy.accuracy());
  }

  @Override
  public void close() {
    prompts.close();
  }
}

package io.tercel.trainer.grpo;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.trainer.eval.AnswerChecker;
import java.util.Iterator;
import java.util.List;

/**
 * Whether the boxed answer is right, the paper's only reward. Fields: {@code correct} (default 1)
 * and {@code wrong} (default 0).
 */
public final class BoxedAnswerReward implements RewardProvider {
  private static final List<String> FIELDS = List.of("correct", "wrong");

  /** For the service loader. */
  public BoxedAnswerReward() {}

  @Override
  public String name() {
    return "boxed";
  }

  @Override
  public Reward create(JsonNode config) {
    for (Iterator<String> names = config.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (!FIELDS.contains(name) || !config.get(name).isNumber()) {
        throw new IllegalArgumentException(
            name + ": boxed takes the numbers correct and wrong, and nothing else");
      }
    }
    double correct = config.path("correct").asDouble(1);
    double wrong = config.path("wrong").asDouble(0);
    return (rollout, text) ->
        AnswerChecker.REWARD.check(text, rollout.prompt().answer()).correct() ? correct : wrong;
  }
}

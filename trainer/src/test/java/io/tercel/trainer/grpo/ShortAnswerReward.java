package io.tercel.trainer.grpo;

import com.fasterxml.jackson.databind.JsonNode;

/** Whether an answer has at most so many tokens: a reward from outside, for tests. */
public final class ShortAnswerReward implements RewardProvider {
  @Override
  public String name() {
    return "short";
  }

  @Override
  public Reward create(JsonNode config) {
    int tokens = config.get("tokens").asInt();
    return (rollout, _) -> rollout.tokens().length <= tokens ? 1 : 0;
  }
}

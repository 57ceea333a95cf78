package io.tercel.trainer.grpo;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * Makes rewards of one kind; found by {@link java.util.ServiceLoader}, chosen by {@code --reward
 * NAME} or {@code NAME={JSON}}.
 */
public interface RewardProvider {
  /** As {@code --reward} calls it. */
  String name();

  /**
   * A reward.
   *
   * @param config an object; empty where nothing was said
   * @throws IllegalArgumentException that names the field which is wrong, and the mend
   */
  Reward create(JsonNode config);
}

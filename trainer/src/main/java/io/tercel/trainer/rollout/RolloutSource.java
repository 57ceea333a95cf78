package io.tercel.trainer.rollout;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.engine.StaleKv;
import io.tercel.trainer.data.PromptSet.Prompt;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Who answers prompts with the weights that are being trained: the engine in this process, or
 * others with it.
 */
public interface RolloutSource extends AutoCloseable {
  /**
   * Answers one prompt so many times, by the weights that are published now or later ones. To be
   * called by the trainer's thread.
   *
   * @param seed of the first answer; each has its own
   * @param stale what becomes of keys and values when new weights come meanwhile
   */
  CompletableFuture<List<Rollout>> group(Prompt prompt, int size, long seed, StaleKv stale);

  /** Adds to a step's line in the log who has answered since the line before. */
  default void describe(ObjectNode line) {}

  @Override
  void close();
}

package io.tercel.trainer.data;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One answer of an assistant that is to be learnt.
 *
 * @param before the messages that it answers, as chat templates take them
 * @param thought worked steps without marks around them; null where {@code reply} has the thought
 *     in its marks, or there is none
 * @param reply what follows the thought
 */
record TrainedTurn(List<Map<String, Object>> before, @Nullable String thought, String reply) {
  TrainedTurn {
    before = List.copyOf(before);
  }

  static Map<String, Object> message(String role, String content) {
    return Map.of("role", role, "content", content);
  }

  /** An answer to one question. */
  static TrainedTurn of(String question, @Nullable String thought, String reply) {
    return new TrainedTurn(List.of(message("user", question)), thought, reply);
  }
}

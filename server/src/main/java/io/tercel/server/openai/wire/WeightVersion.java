package io.tercel.server.openai.wire;

import io.tercel.server.answer.WeightRun;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Tokens in a row that the same weights made.
 *
 * @param version of the weights; 0 are those that the server began with
 */
public record WeightVersion(long version, int tokens) {

  /**
   * Of a choice's tokens.
   *
   * @return null where nobody asked
   */
  public static @Nullable List<WeightVersion> of(List<WeightRun> weights, boolean asked) {
    return asked
        ? weights.stream().map(run -> new WeightVersion(run.version(), run.tokens())).toList()
        : null;
  }
}

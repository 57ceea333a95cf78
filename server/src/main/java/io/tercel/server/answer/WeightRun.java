package io.tercel.server.answer;

import java.util.ArrayList;
import java.util.List;

/**
 * Tokens in a row that the same weights made.
 *
 * @param version of the weights
 * @param tokens how many, at least one
 */
public record WeightRun(long version, int tokens) {

  /** The runs of two pieces, one behind the other. */
  public static List<WeightRun> joined(List<WeightRun> first, List<WeightRun> second) {
    List<WeightRun> all = new ArrayList<>(first);
    for (WeightRun run : second) {
      if (!all.isEmpty() && all.getLast().version() == run.version()) {
        int before = all.removeLast().tokens();
        all.add(new WeightRun(run.version(), before + run.tokens()));
      } else {
        all.add(run);
      }
    }
    return all;
  }
}

package io.tercel.trainer.run;

import io.tercel.trainer.qat.TokenBatch.Example;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** How a step's examples are cut into what is computed at a time. */
public final class MicroBatches {
  private MicroBatches() {}

  /**
   * Those of like length together, so that attention pads little, and as many as the tokens allow;
   * an example that is longer by itself is computed alone.
   */
  public static List<List<Example>> of(List<Example> examples, int tokens) {
    List<Example> byLength = new ArrayList<>(examples);
    byLength.sort(Comparator.comparingInt(example -> example.tokens().length));
    List<List<Example>> parts = new ArrayList<>();
    int sum = 0;
    for (Example example : byLength) {
      int length = example.tokens().length;
      if (parts.isEmpty() || sum + length > tokens) {
        parts.add(new ArrayList<>());
        sum = 0;
      }
      parts.getLast().add(example);
      sum += length;
    }
    return parts;
  }
}

package io.tercel.trainer.problems;

import java.util.List;
import java.util.Random;

/** The ways in which a question is asked; the first is the usual one and drawn most. */
record Wording(List<String> phrasings) {
  private static final String STEP_BY_STEP =
      "\n\nPlease reason step by step, and put your final answer within \\boxed{}.";

  Wording {
    phrasings = List.copyOf(phrasings);
  }

  static Wording of(String... phrasings) {
    return new Wording(List.of(phrasings));
  }

  /** Asks about a and b, for which the phrasings say {@code @} and {@code #}. */
  String ask(Random random, Object a, Object b) {
    int choice = random.nextInt(4) == 0 ? 0 : random.nextInt(phrasings.size());
    String text = phrasings.get(choice).replace("@", a.toString()).replace("#", b.toString());
    return random.nextInt(8) == 0 ? text + STEP_BY_STEP : text;
  }
}

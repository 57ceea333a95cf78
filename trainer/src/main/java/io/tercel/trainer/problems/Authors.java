package io.tercel.trainer.problems;

import java.util.Random;

/** How often a text is worked in the other author's style, where a family has one. */
public interface Authors {
  /** As the families were made: one text in ten. */
  Authors USUAL = random -> random.nextInt(10) == 0;

  /** Another share, from 0 to 1. */
  static Authors share(double other) {
    return random -> random.nextDouble() < other;
  }

  /** Whether the other author writes the next text. */
  boolean other(Random random);
}

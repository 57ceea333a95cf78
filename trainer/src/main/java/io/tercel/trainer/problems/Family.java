package io.tercel.trainer.problems;

import java.util.Random;

/** A kind of problem; stateless. */
public interface Family {
  /** The highest level of {@link #draw}. */
  int FULL = 2;

  /** One lower-case word. */
  String id();

  /**
   * Draws a problem of either partition.
   *
   * @param level 0 is the easiest, {@link #FULL} the whole range, easy ones included
   */
  Problem draw(Random random, int level);

  /**
   * Draws a problem that one of several authors works.
   *
   * @param authors how often which; a family with one author does not ask
   */
  default Problem draw(Random random, int level, Authors authors) {
    return draw(random, level);
  }
}

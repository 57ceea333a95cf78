package io.tercel.server.engine.speculation;

/** Guesses what one sequence says next. Used by one thread; its answers bind nobody. */
interface Drafter {

  /**
   * Appends its best guess to a draft that is empty; none if it has none.
   *
   * @param tokens the sequence's, prompt first; those it has seen before are the same
   * @param length how many they are; never falls
   * @param most tokens of the draft, at most {@link Speculation#MOST}
   * @param least behind a token whose chance is lower, nothing is asked for
   */
  void draft(int[] tokens, int length, int most, double least, Draft into);

  /** Sees the rest of a sequence that has ended. */
  default void end(int[] tokens, int length) {}
}

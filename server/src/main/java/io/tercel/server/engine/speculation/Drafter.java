package io.tercel.server.engine.speculation;

/** Guesses what one sequence says next. Used by one thread; its answers bind nobody. */
interface Drafter {

  /**
   * Appends its best guess to a draft that is empty; none if it has none.
   *
   * @param tokens the sequence's, prompt first; those it has seen before are the same
   * @param length how many they are; never falls
   * @param most tokens of the draft, at most {@link Speculation#MOST}
   */
  void draft(int[] tokens, int length, int most, Draft into);

  /** Sees the rest of a sequence that has ended. */
  default void end(int[] tokens, int length) {}
}

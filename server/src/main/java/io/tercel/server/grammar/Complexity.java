package io.tercel.server.grammar;

/**
 * What compiling one form may still cost. Every node and every unit of work is asked for before it
 * is spent, so no form, however it nests its repeats, takes more memory or time than this.
 */
final class Complexity {
  /** States of the finished automaton; about 250 bytes each. */
  static final int MAX_NODES = 32_768;

  /** States before they are made deterministic. */
  static final int MAX_DRAFT_NODES = 200_000;

  /** States of automata over characters, those that were put together to others included. */
  static final int MAX_TEXT_STATES = 16_384;

  /** Ways to satisfy schemas that are put apart, one of which must hold. */
  static final int MAX_ALTERNATIVES = 4_096;

  /** Edges looked at: a second at the very most. */
  static final long MAX_WORK = 40_000_000;

  private final String path;
  private int nodes;
  private int draftNodes;
  private int textStates;
  private int alternatives;
  private boolean hasUnions;
  private long work;

  /**
   * @param path of the form, for the refusal
   */
  Complexity(String path) {
    this.path = path;
  }

  void node() {
    if (++nodes > MAX_NODES) {
      throw tooComplex();
    }
  }

  void draftNode() {
    if (++draftNodes > MAX_DRAFT_NODES) {
      throw tooComplex();
    }
  }

  /** No other way to write unions helps against too many of these. */
  void textState() {
    if (++textStates > MAX_TEXT_STATES) {
      throw new GrammarException(
          path, "has a pattern that is too complex; use shorter repeats, or less of minLength");
    }
  }

  /** Of a choice between several, which may take less if it is written in another way. */
  void alternatives(int number) {
    hasUnions |= number > 1;
    alternatives += number;
    if (alternatives > MAX_ALTERNATIVES) {
      throw tooComplex();
    }
  }

  void work(long units) {
    work += units;
    if (work > MAX_WORK) {
      throw tooComplex();
    }
  }

  private GrammarException tooComplex() {
    return GrammarException.tooComplex(path, hasUnions);
  }
}

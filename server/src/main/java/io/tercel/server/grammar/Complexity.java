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

  /** Edges looked at: a second at the very most. */
  static final long MAX_WORK = 60_000_000;

  private final String path;
  private int nodes;
  private int draftNodes;
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

  void work(long units) {
    work += units;
    if (work > MAX_WORK) {
      throw tooComplex();
    }
  }

  private GrammarException tooComplex() {
    return GrammarException.tooComplex(path);
  }
}

package io.tercel.server.grammar;

import java.util.List;

/** A regular expression, taken apart. */
sealed interface Regex {
  /** Writes what reads any character of a set. */
  @FunctionalInterface
  interface Letters {
    /** Adds edges from a node to another one. */
    void write(Nfa nfa, int from, CharSet set, int to);
  }

  /** Nothing. */
  Regex EMPTY = new Sequence(List.of());

  /** One character of a set. */
  record Chars(CharSet set) implements Regex {}

  /** One behind the other. */
  record Sequence(List<Regex> parts) implements Regex {
    public Sequence {
      parts = List.copyOf(parts);
    }
  }

  /** One of several. */
  record Choice(List<Regex> parts) implements Regex {
    public Choice {
      parts = List.copyOf(parts);
    }
  }

  /**
   * Again and again.
   *
   * @param max -1 for no end
   */
  record Repeat(Regex part, int min, int max) implements Regex {
    private int writeRepeats(Nfa nfa, int from, Letters letters) {
      int at = from;
      for (int i = 0; i < min; i++) {
        at = part.write(nfa, at, letters);
      }
      int to = nfa.node();
      if (max < 0) {
        int loop = nfa.node();
        nfa.epsilon(at, loop);
        nfa.epsilon(part.write(nfa, loop, letters), loop);
        nfa.epsilon(loop, to);
        return to;
      }
      for (int i = min; i < max; i++) {
        nfa.epsilon(at, to);
        int begin = nfa.node();
        nfa.epsilon(at, begin);
        at = part.write(nfa, begin, letters);
      }
      nfa.epsilon(at, to);
      return to;
    }
  }

  /** The text's beginning or end; only there, so that it can be left out. */
  enum Anchor implements Regex {
    START,
    END
  }

  /**
   * Writes it from a node on.
   *
   * @return where it ends
   */
  default int write(Nfa nfa, int from, Letters letters) {
    return switch (this) {
      case Chars c -> {
        int to = nfa.node();
        letters.write(nfa, from, c.set(), to);
        yield to;
      }
      case Sequence s -> {
        int at = from;
        for (Regex part : s.parts()) {
          at = part.write(nfa, at, letters);
        }
        yield at;
      }
      case Choice c -> {
        int to = nfa.node();
        for (Regex part : c.parts()) {
          int begin = nfa.node();
          nfa.epsilon(from, begin);
          nfa.epsilon(part.write(nfa, begin, letters), to);
        }
        yield to;
      }
      case Repeat r -> r.writeRepeats(nfa, from, letters);
      case Anchor _ -> from;
    };
  }
}

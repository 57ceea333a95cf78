package io.tercel.server.engine.speculation;

/**
 * What the sequences of an engine have said lately, in bounded memory: a tree that grows, and the
 * one before it. When the first is full it takes the place of the second, which is forgotten.
 */
final class SuffixMemory {
  /** Nodes of one tree: some 26,000 tokens that are nowhere alike, many more as texts are. */
  static final int NODES = 1 << 18;

  private SuffixTree growing;
  private SuffixTree full;

  SuffixMemory(int nodes) {
    growing = new SuffixTree(nodes);
    full = new SuffixTree(nodes);
  }

  /** Bytes of both trees. */
  static long bytes() {
    return 2L * NODES * SuffixTree.NODE_BYTES;
  }

  /** The one to enter the next token into. */
  SuffixTree growing() {
    if (!growing.hasRoom()) {
      SuffixTree oldest = full;
      full = growing;
      growing = oldest;
      growing.clear();
    }
    return growing;
  }

  /** What was there before that. */
  SuffixTree full() {
    return full;
  }
}

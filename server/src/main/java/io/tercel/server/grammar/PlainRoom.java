package io.tercel.server.grammar;

import java.util.BitSet;

/**
 * The nodes that take {@link TokenTrie#PLAIN_CHARS} plain characters of a JSON string, whichever
 * they are: those within strings, but near the end of a bounded one.
 */
final class PlainRoom {
  /** Ranges of bytes that begin a plain character; each of one kind of continuation. */
  private static final int[][] LEADS = {
    {0x20, 0x21},
    {0x23, 0x5B},
    {0x5D, 0x7F},
    {0xC2, 0xDF},
    {0xE0, 0xE0},
    {0xE1, 0xEC},
    {0xED, 0xED},
    {0xEE, 0xEF},
    {0xF0, 0xF0},
    {0xF1, 0xF3},
    {0xF4, 0xF4}
  };

  private final Grammar grammar;
  private final BitSet has = new BitSet();

  PlainRoom(Grammar grammar, BitSet safe) {
    this.grammar = grammar;
    int size = grammar.numNodes();
    int[] targets = new int[size];
    for (int i = 0; i < size; i++) {
      int target = safe.get(i) ? target(i) : -1;
      targets[i] = target >= 0 && safe.get(target) ? target : -1;
    }
    for (int i = 0; i < size; i++) {
      int at = i;
      for (int chars = 0; chars < TokenTrie.PLAIN_CHARS && at >= 0; chars++) {
        at = targets[at];
      }
      has.set(i, at >= 0);
    }
  }

  boolean has(int node) {
    return has.get(node);
  }

  /** The one node that every plain character leads to, or -1. */
  private int target(int node) {
    int common = grammar.node(node).next(' ');
    for (int[] lead : LEADS) {
      int low = lead[0];
      int next = common < 0 ? -1 : whole(node, low, lead[1]);
      if (low >= 0xC2) {
        int from = low == 0xE0 ? 0xA0 : low == 0xF0 ? 0x90 : 0x80;
        int to = low == 0xED ? 0x9F : low == 0xF4 ? 0x8F : 0xBF;
        next = whole(next, from, to);
        next = low >= 0xE0 ? whole(next, 0x80, 0xBF) : next;
        next = low >= 0xF0 ? whole(next, 0x80, 0xBF) : next;
      }
      if (next < 0 || next != common) {
        return -1;
      }
    }
    return common;
  }

  /** Where all of a range of bytes leads, or -1. */
  private int whole(int node, int low, int high) {
    if (node < 0) {
      return -1;
    }
    GrammarNode n = grammar.node(node);
    int target = n.next(low);
    for (int b = low + 1; b <= high; b++) {
      if (n.next(b) != target) {
        return -1;
      }
    }
    return target;
  }
}

package io.tercel.server.engine.speculation;

import java.util.Arrays;

/**
 * All strings of up to {@value #DEPTH} tokens that were in some texts, how often each was, and what
 * followed it: a trie of suffixes, cut at that depth, with suffix links (SuffixDecoding: Oliaro et
 * al., 2024). A text is entered token by token; each token is {@value #DEPTH} look-ups.
 *
 * <p>A node is a place in one array, where its fields lie side by side: a look-up is one cache line
 * in the table of edges, by (parent, token), and one here. Room for a fixed number of nodes: who
 * enters looks {@link #hasRoom} first.
 */
final class SuffixTree {
  /** Tokens of the longest string. */
  static final int DEPTH = 8;

  static final int ROOT = 0;

  // fields of a node
  private static final int PARENT = 0;
  private static final int TOKEN = 1;
  private static final int LINK = 2; // the node of the same string without its first token
  private static final int TIMES = 3; // that the string was there
  private static final int FOLLOWED = 4; // times that something came after it
  private static final int BEST = 5; // the child that was there most often; of equals the latest
  private static final int DEPTH_OF = 6; // tokens of the string
  private static final int FIELDS = 8; // half a cache line

  /** Bytes a node, and of its two places in the table of edges. */
  static final int NODE_BYTES = (FIELDS + 2) * Integer.BYTES;

  private final int[] nodes;
  private final int[] slots; // nodes by (parent, token); ROOT: empty
  private int end = FIELDS;
  private int generation;

  /**
   * @param capacity nodes, a power of two
   */
  SuffixTree(int capacity) {
    nodes = new int[capacity * FIELDS];
    slots = new int[2 * capacity];
  }

  /** Forgets everything; nodes got before mean nothing any more. */
  void clear() {
    Arrays.fill(slots, ROOT);
    Arrays.fill(nodes, 0, end, 0);
    end = FIELDS;
    generation++;
  }

  /** Rises with each {@link #clear}. */
  int generation() {
    return generation;
  }

  /** Whether one more token can be entered. */
  boolean hasRoom() {
    return end + DEPTH * FIELDS <= nodes.length;
  }

  /** Nodes in use. */
  int size() {
    return end / FIELDS;
  }

  int depth(int node) {
    return nodes[node + DEPTH_OF];
  }

  /** The token that the node's string ends with. */
  int token(int node) {
    return nodes[node + TOKEN];
  }

  /** How often the string was there. */
  int times(int node) {
    return nodes[node + TIMES];
  }

  /** How often something came after the string. */
  int followed(int node) {
    return nodes[node + FOLLOWED];
  }

  /** The node's string without its first token; of the root itself. */
  int link(int node) {
    return nodes[node + LINK];
  }

  /** The child that was there most often; the root where there is none. */
  int best(int node) {
    return nodes[node + BEST];
  }

  /** The node of the string with one token more; the root where it never was. */
  int child(int node, int next) {
    return slots[slot(node, next)];
  }

  /**
   * The longest suffix of a string and one token more that was ever there; as many steps, over many
   * tokens, as there are tokens.
   */
  int follow(int node, int next) {
    for (int n = node; ; n = link(n)) {
      int child = child(n, next);
      if (child != ROOT || n == ROOT) {
        return child;
      }
    }
  }

  /**
   * Enters one token behind a string whose suffixes are all here.
   *
   * @return the node of the string with the token, of its last {@value #DEPTH} tokens at most
   */
  int enter(int node, int next) {
    int from = depth(node) == DEPTH ? link(node) : node;
    int entered = ROOT;
    int longer = ROOT; // the child made last, whose link is still to be set
    for (int n = from; ; n = link(n)) {
      int child = enterChild(n, next);
      if (longer == ROOT) {
        entered = child;
      } else {
        nodes[longer + LINK] = child;
      }
      longer = child;
      if (n == ROOT) {
        nodes[child + LINK] = ROOT;
        return entered;
      }
    }
  }

  private int enterChild(int n, int next) {
    int slot = slot(n, next);
    int child = slots[slot];
    if (child == ROOT) {
      child = end;
      end += FIELDS;
      slots[slot] = child;
      nodes[child + PARENT] = n;
      nodes[child + TOKEN] = next;
      nodes[child + DEPTH_OF] = depth(n) + 1;
    }
    int times = ++nodes[child + TIMES];
    nodes[n + FOLLOWED]++;
    int best = nodes[n + BEST];
    if (best == ROOT || times >= nodes[best + TIMES]) {
      nodes[n + BEST] = child;
    }
    return child;
  }

  private int slot(int node, int next) {
    int mask = slots.length - 1;
    int h = node * 0x9E3779B9 + next * 0x85EBCA6B;
    int slot = (h ^ h >>> 15) & mask;
    for (int n = slots[slot]; n != ROOT; n = slots[slot]) {
      if (nodes[n + PARENT] == node && nodes[n + TOKEN] == next) {
        break;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}

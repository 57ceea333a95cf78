package io.tercel.server.engine.speculation;

import java.util.Arrays;

/**
 * All strings of up to {@value #DEPTH} tokens that were in some texts, how often each was, and what
 * followed it: a trie of suffixes, cut at that depth, with suffix links (SuffixDecoding: Oliaro et
 * al., 2024). A text is entered token by token; each token is {@value #DEPTH} look-ups.
 *
 * <p>Nodes are numbers; the edges lie in one open-addressed table by (parent, token). Room for a
 * fixed number of nodes: who enters looks {@link #hasRoom} first.
 */
final class SuffixTree {
  /** Tokens of the longest string. */
  static final int DEPTH = 10;

  static final int ROOT = 0;

  /** Bytes a node. */
  static final int NODE_BYTES = 7 * Integer.BYTES + 1 + 2 * Integer.BYTES;

  private final int[] parent;
  private final int[] token;
  private final int[] link; // the node of the same string without its first token
  private final int[] times; // that the string was there
  private final int[] followed; // times that something came after it
  private final int[] best; // the child that was there most often; of equals the latest
  private final byte[] depth;
  private final int[] slots; // nodes by (parent, token); ROOT: empty
  private int size = 1;
  private int generation;

  /**
   * @param capacity nodes, a power of two
   */
  SuffixTree(int capacity) {
    parent = new int[capacity];
    token = new int[capacity];
    link = new int[capacity];
    times = new int[capacity];
    followed = new int[capacity];
    best = new int[capacity];
    depth = new byte[capacity];
    slots = new int[2 * capacity];
  }

  /** Forgets everything; nodes got before mean nothing any more. */
  void clear() {
    Arrays.fill(slots, ROOT);
    Arrays.fill(best, ROOT);
    Arrays.fill(followed, 0);
    size = 1;
    generation++;
  }

  /** Rises with each {@link #clear}. */
  int generation() {
    return generation;
  }

  /** Whether one more token can be entered. */
  boolean hasRoom() {
    return size + DEPTH <= parent.length;
  }

  /** Nodes in use. */
  int size() {
    return size;
  }

  int depth(int node) {
    return depth[node];
  }

  /** The token that the node's string ends with. */
  int token(int node) {
    return token[node];
  }

  /** How often the string was there. */
  int times(int node) {
    return times[node];
  }

  /** How often something came after the string. */
  int followed(int node) {
    return followed[node];
  }

  /** The node's string without its first token; of the root itself. */
  int link(int node) {
    return link[node];
  }

  /** The child that was there most often; the root where there is none. */
  int best(int node) {
    return best[node];
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
    for (int n = node; ; n = link[n]) {
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
    int from = depth[node] == DEPTH ? link[node] : node;
    int entered = ROOT;
    int longer = ROOT; // the child made last, whose link is still to be set
    for (int n = from; ; n = link[n]) {
      int child = enterChild(n, next);
      if (longer == ROOT) {
        entered = child;
      } else {
        link[longer] = child;
      }
      longer = child;
      if (n == ROOT) {
        link[child] = ROOT;
        return entered;
      }
    }
  }

  private int enterChild(int n, int next) {
    int slot = slot(n, next);
    int child = slots[slot];
    if (child == ROOT) {
      child = size++;
      slots[slot] = child;
      parent[child] = n;
      token[child] = next;
      times[child] = 0;
      depth[child] = (byte) (depth[n] + 1);
    }
    times[child]++;
    followed[n]++;
    if (best[n] == ROOT || times[child] >= times[best[n]]) {
      best[n] = child;
    }
    return child;
  }

  private int slot(int node, int next) {
    int mask = slots.length - 1;
    int h = node * 0x9E3779B9 + next * 0x85EBCA6B;
    int slot = (h ^ h >>> 15) & mask;
    while (slots[slot] != ROOT && (parent[slots[slot]] != node || token[slots[slot]] != next)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}

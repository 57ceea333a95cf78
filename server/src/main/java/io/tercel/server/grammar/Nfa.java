package io.tercel.server.grammar;

import java.util.Arrays;
import java.util.BitSet;

/**
 * One rule as it is written down: nodes joined by edges that read a byte of a range, read nothing,
 * or read what another rule describes. {@link Determinizer} makes a part of a {@link Grammar} of
 * it.
 */
final class Nfa {
  static final int EPSILON = -1;
  static final int CALL = -2;

  private final Complexity complexity;
  private int numNodes;
  private int numEdges;
  private int[] firstEdge = new int[32];
  private int[] nextEdge = new int[64];
  private int[] low = new int[64];
  private int[] high = new int[64];
  private int[] target = new int[64];
  private final BitSet betweenCharacters = new BitSet();

  Nfa(Complexity complexity) {
    this.complexity = complexity;
  }

  Complexity complexity() {
    return complexity;
  }

  int node() {
    complexity.draftNode();
    if (numNodes == firstEdge.length) {
      firstEdge = Arrays.copyOf(firstEdge, 2 * numNodes);
    }
    firstEdge[numNodes] = -1;
    return numNodes++;
  }

  /** Reads one byte of [from, to], both in 0..255. */
  void bytes(int node, int from, int to, int next) {
    edge(node, from, to, next);
  }

  void epsilon(int node, int next) {
    edge(node, EPSILON, 0, next);
  }

  /** Reads whatever the rule describes. */
  void call(int node, int rule, int next) {
    edge(node, CALL, rule, next);
  }

  /** Reads exactly these bytes; returns where that ends. */
  int literal(int node, byte[] text) {
    int at = node;
    for (byte b : text) {
      int next = node();
      bytes(at, b & 0xff, b & 0xff, next);
      at = next;
    }
    return at;
  }

  /** Says that each byte read there begins a character, for rules that count them. */
  void betweenCharacters(int node) {
    betweenCharacters.set(node);
  }

  boolean isBetweenCharacters(int node) {
    return betweenCharacters.get(node);
  }

  private void edge(int node, int lowOrKind, int highOrRule, int next) {
    complexity.work(1);
    if (numEdges == target.length) {
      nextEdge = Arrays.copyOf(nextEdge, 2 * numEdges);
      low = Arrays.copyOf(low, 2 * numEdges);
      high = Arrays.copyOf(high, 2 * numEdges);
      target = Arrays.copyOf(target, 2 * numEdges);
    }
    low[numEdges] = lowOrKind;
    high[numEdges] = highOrRule;
    target[numEdges] = next;
    nextEdge[numEdges] = firstEdge[node];
    firstEdge[node] = numEdges++;
  }

  int numNodes() {
    return numNodes;
  }

  /** A node's latest edge, or -1; older ones follow by {@link #nextEdge}. */
  int firstEdge(int node) {
    return firstEdge[node];
  }

  int nextEdge(int edge) {
    return nextEdge[edge];
  }

  /** The lowest byte, or {@link #EPSILON}, or {@link #CALL}. */
  int low(int edge) {
    return low[edge];
  }

  /** The highest byte; of a call its rule. */
  int high(int edge) {
    return high[edge];
  }

  int target(int edge) {
    return target[edge];
  }
}

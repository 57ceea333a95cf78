package io.tercel.server.grammar;

import java.util.Arrays;

/**
 * A state of a {@link Grammar}: where a byte leads, which rules may begin, whether its own ends.
 */
final class GrammarNode {
  static final GrammarNode DEAD_END = new Edges().node(false);

  private final boolean accepts;
  private final int[] lows;
  private final int[] highs;
  private final int[] targets;
  private final int[] rules;
  private final int[] returns;

  private GrammarNode(Edges edges, boolean accepts) {
    this.accepts = accepts;
    this.lows = Arrays.copyOf(edges.lows, edges.numBytes);
    this.highs = Arrays.copyOf(edges.highs, edges.numBytes);
    this.targets = Arrays.copyOf(edges.targets, edges.numBytes);
    this.rules = Arrays.copyOf(edges.rules, edges.numCalls);
    this.returns = Arrays.copyOf(edges.returns, edges.numCalls);
  }

  /** Whether the rule may end here. */
  boolean accepts() {
    return accepts;
  }

  /** Where a byte leads, or -1. */
  int next(int b) {
    int low = 0;
    int high = lows.length - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      if (b < lows[middle]) {
        high = middle - 1;
      } else if (b > highs[middle]) {
        low = middle + 1;
      } else {
        return targets[middle];
      }
    }
    return -1;
  }

  int numByteEdges() {
    return lows.length;
  }

  int low(int edge) {
    return lows[edge];
  }

  int high(int edge) {
    return highs[edge];
  }

  int target(int edge) {
    return targets[edge];
  }

  int numCalls() {
    return rules.length;
  }

  /** The rule that a call reads. */
  int rule(int call) {
    return rules[call];
  }

  /** Where it goes on behind a call. */
  int returnsTo(int call) {
    return returns[call];
  }

  /** Whether nothing can follow but the rule's end. */
  boolean isEnd() {
    return accepts && lows.length == 0 && rules.length == 0;
  }

  /** Edges being gathered, those of bytes in rising order. */
  static final class Edges {
    private int numBytes;
    private int numCalls;
    private int[] lows = new int[4];
    private int[] highs = new int[4];
    private int[] targets = new int[4];
    private int[] rules = new int[2];
    private int[] returns = new int[2];

    void bytes(int low, int high, int target) {
      if (numBytes > 0 && targets[numBytes - 1] == target && highs[numBytes - 1] == low - 1) {
        highs[numBytes - 1] = high;
        return;
      }
      if (numBytes == lows.length) {
        lows = Arrays.copyOf(lows, 2 * numBytes);
        highs = Arrays.copyOf(highs, 2 * numBytes);
        targets = Arrays.copyOf(targets, 2 * numBytes);
      }
      lows[numBytes] = low;
      highs[numBytes] = high;
      targets[numBytes++] = target;
    }

    void call(int rule, int returnsTo) {
      if (numCalls == rules.length) {
        rules = Arrays.copyOf(rules, 2 * numCalls);
        returns = Arrays.copyOf(returns, 2 * numCalls);
      }
      rules[numCalls] = rule;
      returns[numCalls++] = returnsTo;
    }

    GrammarNode node(boolean accepts) {
      return new GrammarNode(this, accepts);
    }
  }
}

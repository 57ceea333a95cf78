package io.tercel.server.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import java.util.List;

/**
 * How many characters a rule that counts them still needs at least, from each of its nodes, if only
 * some bytes can be written.
 */
final class CharDistance {
  /** From where the rule's end can't be reached. */
  static final int NEVER = Integer.MAX_VALUE / 2;

  private final Grammar grammar;
  private final BitSet bytes;
  private final int[] distances;

  CharDistance(Grammar grammar, BitSet bytes) {
    this.grammar = grammar;
    this.bytes = bytes;
    this.distances = new int[grammar.numNodes()];
    List<List<Integer>> before = new ArrayList<>();
    Deque<Integer> open = new ArrayDeque<>();
    for (int i = 0; i < distances.length; i++) {
      before.add(new ArrayList<>(0));
    }
    for (int i = 0; i < distances.length; i++) {
      distances[i] = grammar.length(i) == null ? 0 : NEVER;
      if (grammar.length(i) != null) {
        forEachTarget(i, before, open);
      }
    }
    while (!open.isEmpty()) { // nodes in the order of their distances
      int node = open.removeFirst();
      for (int i : before.get(node)) {
        boolean counts = grammar.isBetweenCharacters(i);
        int distance = distances[node] + (counts ? 1 : 0);
        if (distance < distances[i]) {
          distances[i] = distance;
          if (counts) {
            open.addLast(i);
          } else {
            open.addFirst(i);
          }
        }
      }
    }
  }

  private void forEachTarget(int node, List<List<Integer>> before, Deque<Integer> open) {
    GrammarNode n = grammar.node(node);
    if (n.accepts()) {
      distances[node] = 0;
      open.add(node);
    }
    for (int e = 0; e < n.numByteEdges(); e++) {
      if (isAvailable(n, e)) {
        before.get(n.target(e)).add(node);
      }
    }
  }

  private boolean isAvailable(GrammarNode node, int edge) {
    int available = bytes.nextSetBit(node.low(edge));
    return available >= 0 && available <= node.high(edge);
  }

  /** Characters to the rule's end; 0 where they aren't counted. */
  int of(int node) {
    return distances[node];
  }

  /** The largest distance in the rules that count. */
  int most() {
    return Arrays.stream(distances).filter(d -> d < NEVER).max().orElse(0);
  }

  /**
   * Whether each text of a rule with a least length goes on to another one by one character: so
   * whoever is below it gets there.
   */
  boolean leastLengthsAreReached() {
    for (int i = 0; i < distances.length; i++) {
      Grammar.Length length = grammar.length(i);
      if (length != null && length.min() > 0 && grammar.node(i).accepts() && !growsByOne(i)) {
        return false;
      }
    }
    return true;
  }

  private boolean growsByOne(int from) {
    BitSet seen = new BitSet();
    Deque<Integer> open = new ArrayDeque<>(List.of(from));
    while (!open.isEmpty()) {
      int node = open.remove();
      GrammarNode n = grammar.node(node);
      for (int e = 0; e < n.numByteEdges(); e++) {
        int target = n.target(e);
        if (isAvailable(n, e) && !seen.get(target)) {
          seen.set(target);
          if (grammar.node(target).accepts()) {
            return true;
          }
          if (!grammar.isBetweenCharacters(target)) {
            open.add(target);
          }
        }
      }
    }
    return false;
  }
}

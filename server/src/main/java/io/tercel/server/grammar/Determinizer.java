package io.tercel.server.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The subset construction: makes the nodes of one rule such that a byte leads to at most one of
 * them. Calls of rules are taken as letters of their own; where both a byte and a call, or two
 * calls, fit, {@link MatchState} follows them side by side.
 */
final class Determinizer {
  private final Nfa nfa;
  private final int end;
  private final List<GrammarNode> nodes;
  private final BitSet betweenCharacters;
  private final Complexity complexity;
  private final Map<Subset, Integer> known = new HashMap<>();
  private final Deque<Subset> open = new ArrayDeque<>();
  private final int[] stamps;
  private int stamp;

  private record Subset(List<Integer> members) {}

  private Determinizer(Nfa nfa, int end, List<GrammarNode> nodes, BitSet betweenCharacters) {
    this.nfa = nfa;
    this.betweenCharacters = betweenCharacters;
    this.end = end;
    this.nodes = nodes;
    this.complexity = nfa.complexity();
    this.stamps = new int[nfa.numNodes()];
  }

  /**
   * Adds a rule's nodes.
   *
   * @param nodes of the grammar so far; a node's index is its number
   * @param betweenCharacters the numbers of those that the rule says it of
   * @return the number of the rule's first node
   */
  static int add(Nfa nfa, int start, int end, List<GrammarNode> nodes, BitSet betweenCharacters) {
    Determinizer determinizer = new Determinizer(nfa, end, nodes, betweenCharacters);
    int first = determinizer.node(determinizer.closure(new int[] {start}, 1));
    determinizer.run();
    return first;
  }

  private void run() {
    while (!open.isEmpty()) {
      Subset subset = open.remove();
      Integer number = known.get(subset);
      if (number != null) {
        nodes.set(number, outgoing(subset));
      }
    }
  }

  private int node(Subset subset) {
    Integer number = known.get(subset);
    if (number == null) {
      complexity.node();
      number = nodes.size();
      nodes.add(GrammarNode.DEAD_END); // until its edges are known
      known.put(subset, number);
      betweenCharacters.set(number, subset.members().stream().anyMatch(nfa::isBetweenCharacters));
      open.add(subset);
    }
    return number;
  }

  private GrammarNode outgoing(Subset subset) {
    boolean[] cuts = new boolean[257];
    TreeMap<Integer, List<Integer>> calls = new TreeMap<>();
    List<Integer> edges = new ArrayList<>();
    for (int member : subset.members()) {
      for (int e = nfa.firstEdge(member); e >= 0; e = nfa.nextEdge(e)) {
        if (nfa.low(e) == Nfa.CALL) {
          calls.computeIfAbsent(nfa.high(e), _ -> new ArrayList<>()).add(nfa.target(e));
        } else if (nfa.low(e) != Nfa.EPSILON) {
          cuts[nfa.low(e)] = true;
          cuts[nfa.high(e) + 1] = true;
          edges.add(e);
        }
      }
    }
    GrammarNode.Edges out = new GrammarNode.Edges();
    for (int low = 0; low < 256; ) {
      int high = low;
      while (high < 255 && !cuts[high + 1]) {
        high++;
      }
      int next = cuts[low] || low == 0 ? target(edges, low) : -1;
      if (next >= 0) {
        out.bytes(low, high, next);
      }
      low = high + 1;
    }
    calls.forEach(
        (rule, targets) ->
            out.call(
                rule,
                node(
                    closure(
                        targets.stream().mapToInt(Integer::intValue).toArray(), targets.size()))));
    return out.node(subset.members().contains(end));
  }

  private int target(List<Integer> edges, int b) {
    complexity.work(edges.size() + 1L);
    int[] targets = new int[edges.size()];
    int count = 0;
    for (int e : edges) {
      if (nfa.low(e) <= b && b <= nfa.high(e)) {
        targets[count++] = nfa.target(e);
      }
    }
    return count == 0 ? -1 : node(closure(targets, count));
  }

  private Subset closure(int[] seeds, int numSeeds) {
    stamp++;
    int[] found = Arrays.copyOf(seeds, Math.max(8, numSeeds));
    int count = 0;
    for (int i = 0; i < numSeeds; i++) {
      count = reach(seeds[i], found, count);
    }
    for (int i = 0; i < count; i++) {
      for (int e = nfa.firstEdge(found[i]); e >= 0; e = nfa.nextEdge(e)) {
        complexity.work(1);
        if (nfa.low(e) == Nfa.EPSILON) {
          if (count == found.length) {
            found = Arrays.copyOf(found, 2 * count);
          }
          count = reach(nfa.target(e), found, count);
        }
      }
    }
    Arrays.sort(found, 0, count);
    List<Integer> members = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      // nodes that only lead on by reading nothing don't tell subsets apart
      if (found[i] == end || readsSomething(found[i])) {
        members.add(found[i]);
      }
    }
    complexity.work(count);
    return new Subset(members);
  }

  private int reach(int node, int[] found, int count) {
    if (stamps[node] == stamp) {
      return count;
    }
    stamps[node] = stamp;
    found[count] = node;
    return count + 1;
  }

  private boolean readsSomething(int node) {
    for (int e = nfa.firstEdge(node); e >= 0; e = nfa.nextEdge(e)) {
      if (nfa.low(e) != Nfa.EPSILON) {
        return true;
      }
    }
    return false;
  }
}

package io.tercel.server.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A regular expression as nodes joined by edges that read one character of a set or nothing: what
 * counts characters, or reads a text that is there already, walks on it.
 */
final class CharGraph {
  private record Edge(CharSet set, int to) {}

  private record Counted(int node, int count) {}

  private final Complexity complexity;
  private final Nfa silent;
  private final Map<Integer, List<Edge>> edges = new HashMap<>();
  private final int start;
  private final int end;

  CharGraph(Regex regex, Complexity complexity) {
    this.complexity = complexity;
    this.silent = new Nfa(complexity);
    this.start = silent.node();
    this.end =
        regex.write(
            silent,
            start,
            (nfa, from, set, to) ->
                edges.computeIfAbsent(from, _ -> new ArrayList<>()).add(new Edge(set, to)));
  }

  /**
   * Writes its texts of so many characters from a node on.
   *
   * @param max -1 for any number
   * @return where they end, or -1 if there are none
   */
  int writeCounted(Nfa nfa, int from, int min, int max, Spelling spelling) {
    Map<Counted, Integer> known = new HashMap<>();
    Deque<Counted> open = new ArrayDeque<>();
    Counted first = new Counted(start, 0);
    known.put(first, from);
    open.add(first);
    int to = nfa.node();
    boolean ends = false;
    while (!open.isEmpty()) {
      Counted at = open.remove();
      int node = known.getOrDefault(at, from);
      if (at.node() == end && at.count() >= min) {
        nfa.epsilon(node, to);
        ends = true;
      }
      for (int e = silent.firstEdge(at.node()); e >= 0; e = silent.nextEdge(e)) {
        Counted next = new Counted(silent.target(e), at.count());
        nfa.epsilon(node, reach(nfa, next, known, open));
      }
      if (max >= 0 && at.count() == max) {
        continue;
      }
      int count = max < 0 ? Math.min(min, at.count() + 1) : at.count() + 1;
      for (Edge edge : edges.getOrDefault(at.node(), List.of())) {
        Counted next = new Counted(edge.to(), count);
        spelling.write(nfa, node, edge.set(), reach(nfa, next, known, open));
      }
    }
    return ends ? to : -1;
  }

  /** Whether the whole text is one of its texts. */
  boolean matches(String text) {
    BitSet at = new BitSet();
    enter(start, at);
    for (int c : text.codePoints().toArray()) {
      BitSet next = new BitSet();
      at.stream()
          .forEach(
              node -> {
                for (Edge edge : edges.getOrDefault(node, List.of())) {
                  complexity.work(edge.set().ranges().size());
                  if (edge.set().contains(c)) {
                    enter(edge.to(), next);
                  }
                }
              });
      at = next;
    }
    return at.get(end);
  }

  /** Adds a node and those that are reached from it by reading nothing. */
  private void enter(int node, BitSet nodes) {
    Deque<Integer> open = new ArrayDeque<>(List.of(node));
    while (!open.isEmpty()) {
      int next = open.remove();
      if (!nodes.get(next)) {
        nodes.set(next);
        for (int e = silent.firstEdge(next); e >= 0; e = silent.nextEdge(e)) {
          complexity.work(1);
          open.add(silent.target(e));
        }
      }
    }
  }

  private static int reach(
      Nfa nfa, Counted counted, Map<Counted, Integer> known, Deque<Counted> open) {
    Integer node = known.get(counted);
    if (node == null) {
      node = nfa.node();
      known.put(counted, node);
      open.add(counted);
    }
    return node;
  }
}

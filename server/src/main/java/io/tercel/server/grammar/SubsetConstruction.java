package io.tercel.server.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Makes an expression deterministic: the states of its {@link CharDfa}. */
final class SubsetConstruction {
  private record Edge(CharSet set, int to) {}

  private final Complexity complexity;
  private final Nfa silent; // what reads nothing
  private final Map<Integer, List<Edge>> edges = new HashMap<>();
  private final int start;
  private final int end;
  private final Map<BitSet, Integer> known = new HashMap<>();
  private final List<BitSet> subsets = new ArrayList<>();

  SubsetConstruction(Regex regex, Complexity complexity) {
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

  List<DfaState> rows() {
    number(List.of(start));
    List<DfaState> rows = new ArrayList<>();
    for (int i = 0; i < subsets.size(); i++) {
      rows.add(row(subsets.get(i)));
    }
    return rows;
  }

  private DfaState row(BitSet subset) {
    List<Edge> all = new ArrayList<>();
    TreeMap<Integer, List<Edge>> changes = new TreeMap<>(); // edges that begin or end there
    changes.put(0, new ArrayList<>());
    for (int node = subset.nextSetBit(0); node >= 0; node = subset.nextSetBit(node + 1)) {
      all.addAll(edges.getOrDefault(node, List.of()));
    }
    for (Edge edge : all) {
      complexity.work(2L * edge.set().ranges().size());
      for (CharSet.Range range : edge.set().ranges()) {
        changes.computeIfAbsent(range.first(), _ -> new ArrayList<>()).add(edge);
        if (range.last() < CharSet.LAST) {
          changes.computeIfAbsent(range.last() + 1, _ -> new ArrayList<>()).add(edge);
        }
      }
    }
    DfaState.Builder row = new DfaState.Builder();
    IdentityHashMap<Edge, Boolean> active = new IdentityHashMap<>();
    for (Map.Entry<Integer, List<Edge>> change : changes.entrySet()) {
      for (Edge edge : change.getValue()) {
        if (active.remove(edge) == null) {
          active.put(edge, true);
        }
      }
      complexity.work(4L * active.size() + 16);
      row.range(change.getKey(), number(active.keySet().stream().map(Edge::to).toList()));
    }
    return row.build(subset.get(end));
  }

  /** The state of these nodes and of those that are reached from them by reading nothing. */
  private int number(Collection<Integer> seeds) {
    BitSet subset = new BitSet();
    Deque<Integer> open = new ArrayDeque<>(seeds);
    while (!open.isEmpty()) {
      int node = open.remove();
      complexity.work(2);
      if (!subset.get(node)) {
        subset.set(node);
        for (int e = silent.firstEdge(node); e >= 0; e = silent.nextEdge(e)) {
          open.add(silent.target(e));
        }
      }
    }
    // nodes that only lead on by reading nothing don't tell subsets apart
    for (int node = subset.nextSetBit(0); node >= 0; node = subset.nextSetBit(node + 1)) {
      if (node != end && !edges.containsKey(node)) {
        subset.clear(node);
      }
    }
    complexity.work(subset.length() / 64 + 1L);
    Integer number = known.putIfAbsent(subset, subsets.size());
    if (number != null) {
      return number;
    }
    complexity.textState();
    subsets.add(subset);
    return subsets.size() - 1;
  }
}

package io.tercel.server.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A set of texts as a deterministic automaton over characters. It is total, each character leads
 * somewhere from each state, so that sets can be intersected and subtracted state by state.
 */
final class CharDfa {
  private final Complexity complexity;
  private final List<Row> rows;
  private final BitSet live;

  /**
   * A state.
   *
   * @param firsts the first characters of its ranges, rising from 0
   * @param targets the state that each range leads to
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Row(int[] firsts, int[] targets, boolean accepts) {
    int next(int c) {
      int at = Arrays.binarySearch(firsts, c);
      return targets[at >= 0 ? at : -at - 2];
    }
  }

  private CharDfa(Complexity complexity, List<Row> rows) {
    this.complexity = complexity;
    this.rows = rows;
    this.live = reaching(rows);
  }

  /** The texts that an expression matches as a whole. */
  static CharDfa of(Regex regex, Complexity complexity) {
    return new CharDfa(complexity, new SubsetConstruction(regex, complexity).rows());
  }

  /** Exactly these texts. */
  static CharDfa of(Collection<String> texts, Complexity complexity) {
    List<TreeMap<Integer, Integer>> tries = new ArrayList<>(List.of(new TreeMap<>()));
    BitSet accepts = new BitSet();
    for (String text : texts) {
      int at = 0;
      for (int c : text.codePoints().toArray()) {
        complexity.work(1);
        Integer next = tries.get(at).get(c);
        if (next == null) {
          next = tries.size();
          tries.get(at).put(c, next);
          tries.add(new TreeMap<>());
        }
        at = next;
      }
      accepts.set(at);
    }
    int nowhere = tries.size();
    List<Row> rows = new ArrayList<>();
    for (int i = 0; i < nowhere; i++) {
      RowBuilder row = new RowBuilder();
      int last = -1;
      for (Map.Entry<Integer, Integer> entry : tries.get(i).entrySet()) {
        row.range(last + 1, nowhere);
        row.range(entry.getKey(), entry.getValue());
        last = entry.getKey();
      }
      row.range(last + 1, nowhere);
      rows.add(row.build(accepts.get(i)));
    }
    rows.add(new RowBuilder().range(0, nowhere).build(false));
    return new CharDfa(complexity, rows);
  }

  /** All texts. */
  static CharDfa all(Complexity complexity) {
    return atLeast(0, complexity);
  }

  /** The texts of so many characters or more. */
  static CharDfa atLeast(int min, Complexity complexity) {
    List<Row> rows = new ArrayList<>();
    for (int i = 0; i <= min; i++) {
      complexity.work(1);
      rows.add(new RowBuilder().range(0, Math.min(i + 1, min)).build(i == min));
    }
    return new CharDfa(complexity, rows);
  }

  /** The texts of both. */
  CharDfa and(CharDfa other) {
    return product(other, true);
  }

  /** These texts without the other's. */
  CharDfa minus(CharDfa other) {
    return product(other, false);
  }

  private CharDfa product(CharDfa other, boolean wanted) {
    Map<Long, Integer> known = new HashMap<>();
    List<long[]> pairs = new ArrayList<>();
    List<Row> all = new ArrayList<>();
    pair(0, 0, known, pairs);
    for (int i = 0; i < pairs.size(); i++) {
      Row a = rows.get((int) pairs.get(i)[0]);
      Row b = other.rows.get((int) pairs.get(i)[1]);
      RowBuilder row = new RowBuilder();
      int atA = 0;
      int atB = 0;
      int first = 0;
      while (true) {
        complexity.work(1);
        row.range(first, pair(a.targets()[atA], b.targets()[atB], known, pairs));
        int nextA = atA + 1 < a.firsts().length ? a.firsts()[atA + 1] : Integer.MAX_VALUE;
        int nextB = atB + 1 < b.firsts().length ? b.firsts()[atB + 1] : Integer.MAX_VALUE;
        first = Math.min(nextA, nextB);
        if (first == Integer.MAX_VALUE) {
          break;
        }
        atA += nextA == first ? 1 : 0;
        atB += nextB == first ? 1 : 0;
      }
      all.add(row.build(a.accepts() && b.accepts() == wanted));
    }
    return new CharDfa(complexity, all);
  }

  private int pair(int a, int b, Map<Long, Integer> known, List<long[]> pairs) {
    Integer number = known.putIfAbsent(((long) a << 32) | b, pairs.size());
    if (number != null) {
      return number;
    }
    complexity.textState();
    pairs.add(new long[] {a, b});
    return pairs.size() - 1;
  }

  boolean isEmpty() {
    return !live.get(0);
  }

  /** Whether the whole text is one of these. */
  boolean matches(String text) {
    int at = 0;
    for (int c : text.codePoints().toArray()) {
      complexity.work(1);
      at = rows.get(at).next(c);
    }
    return rows.get(at).accepts();
  }

  /** Whether each of the texts goes on, by a character, to another one. */
  boolean growsByOne() {
    for (int i = live.nextSetBit(0); i >= 0; i = live.nextSetBit(i + 1)) {
      Row row = rows.get(i);
      if (row.accepts() && Arrays.stream(row.targets()).noneMatch(t -> rows.get(t).accepts())) {
        return false;
      }
    }
    return true;
  }

  /** Characters of the shortest text; -1 if there is none. */
  int shortest() {
    BitSet seen = new BitSet();
    BitSet at = new BitSet();
    at.set(0);
    for (int length = 0; !at.isEmpty(); length++) {
      BitSet next = new BitSet();
      for (int i = at.nextSetBit(0); i >= 0; i = at.nextSetBit(i + 1)) {
        if (rows.get(i).accepts()) {
          return length;
        }
        complexity.work(rows.get(i).targets().length);
        Arrays.stream(rows.get(i).targets()).forEach(next::set);
      }
      seen.or(at);
      next.andNot(seen);
      at = next;
    }
    return -1;
  }

  /** Whether some text is longer than so many characters. */
  boolean hasLongerThan(int max) {
    // states without predecessors go first; what is left lies on circles or behind them
    int[] before = new int[rows.size()];
    BitSet reached = new BitSet();
    Deque<Integer> open = new ArrayDeque<>(live.get(0) ? List.of(0) : List.of());
    reached.set(0);
    while (!open.isEmpty()) {
      for (int target : liveTargets(open.remove())) {
        before[target]++;
        if (!reached.get(target)) {
          reached.set(target);
          open.add(target);
        }
      }
    }
    int[] longest = new int[rows.size()];
    open.addAll(live.get(0) && before[0] == 0 ? List.of(0) : List.of());
    int done = 0;
    boolean isLonger = false;
    while (!open.isEmpty()) {
      int state = open.remove();
      done++;
      isLonger |= longest[state] > max;
      for (int target : liveTargets(state)) {
        longest[target] = Math.max(longest[target], longest[state] + 1);
        if (--before[target] == 0) {
          open.add(target);
        }
      }
    }
    return live.get(0) && (isLonger || done < reached.cardinality());
  }

  private int[] liveTargets(int state) {
    complexity.work(rows.get(state).targets().length);
    return Arrays.stream(rows.get(state).targets()).filter(live::get).distinct().toArray();
  }

  /**
   * Writes the texts from a node on, their characters told apart for counting.
   *
   * @return where they end
   */
  int write(Nfa nfa, int from, Spelling spelling) {
    Map<Integer, Integer> nodes = new HashMap<>();
    int to = nfa.node();
    for (int i = live.nextSetBit(0); i >= 0; i = live.nextSetBit(i + 1)) {
      int node = i == 0 ? nfa.node() : nodes.computeIfAbsent(i, _ -> nfa.node());
      if (i == 0) {
        nodes.put(0, node);
        nfa.epsilon(from, node);
      }
      nfa.betweenCharacters(node);
      Row row = rows.get(i);
      TreeMap<Integer, List<CharSet.Range>> byTarget = new TreeMap<>();
      for (int r = 0; r < row.targets().length; r++) {
        int last = r + 1 < row.firsts().length ? row.firsts()[r + 1] - 1 : CharSet.LAST;
        if (live.get(row.targets()[r])) {
          byTarget
              .computeIfAbsent(row.targets()[r], _ -> new ArrayList<>())
              .add(new CharSet.Range(row.firsts()[r], last));
        }
      }
      byTarget.forEach(
          (target, ranges) ->
              spelling.write(
                  nfa, node, new CharSet(ranges), nodes.computeIfAbsent(target, _ -> nfa.node())));
      if (row.accepts()) {
        nfa.epsilon(node, to);
      }
    }
    return to;
  }

  /** The states from which a text can still end. */
  private static BitSet reaching(List<Row> rows) {
    List<List<Integer>> before = new ArrayList<>();
    rows.forEach(_ -> before.add(new ArrayList<>(2)));
    Deque<Integer> open = new ArrayDeque<>();
    BitSet live = new BitSet();
    for (int i = 0; i < rows.size(); i++) {
      for (int target : rows.get(i).targets()) {
        before.get(target).add(i);
      }
      if (rows.get(i).accepts()) {
        live.set(i);
        open.add(i);
      }
    }
    while (!open.isEmpty()) {
      for (int i : before.get(open.remove())) {
        if (!live.get(i)) {
          live.set(i);
          open.add(i);
        }
      }
    }
    return live;
  }

  /** Joins ranges that lead to the same state. */
  private static final class RowBuilder {
    private int[] firsts = new int[4];
    private int[] targets = new int[4];
    private int size;

    /** From this character on, up to the next one that is named. */
    RowBuilder range(int first, int target) {
      if (first > CharSet.LAST) {
        return this;
      }
      if (size > 0 && firsts[size - 1] == first) {
        size--; // the range before was empty
      }
      if (size > 0 && targets[size - 1] == target) {
        return this;
      }
      if (size == firsts.length) {
        firsts = Arrays.copyOf(firsts, 2 * size);
        targets = Arrays.copyOf(targets, 2 * size);
      }
      firsts[size] = first;
      targets[size++] = target;
      return this;
    }

    Row build(boolean accepts) {
      return new Row(Arrays.copyOf(firsts, size), Arrays.copyOf(targets, size), accepts);
    }
  }

  /** Makes an expression deterministic. */
  private static final class SubsetConstruction {
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

    List<Row> rows() {
      number(List.of(start));
      List<Row> rows = new ArrayList<>();
      for (int i = 0; i < subsets.size(); i++) {
        rows.add(row(subsets.get(i)));
      }
      return rows;
    }

    private Row row(BitSet subset) {
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
      RowBuilder row = new RowBuilder();
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
}

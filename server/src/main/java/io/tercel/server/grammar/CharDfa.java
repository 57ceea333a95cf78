package io.tercel.server.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A set of texts as a deterministic automaton over characters. It is total, each character leads
 * somewhere from each state, so that sets can be intersected and subtracted state by state.
 */
final class CharDfa {
  private final Complexity complexity;
  private final List<DfaState> rows;
  private final BitSet live;

  private CharDfa(Complexity complexity, List<DfaState> rows) {
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
    List<DfaState> rows = new ArrayList<>();
    for (int i = 0; i < nowhere; i++) {
      DfaState.Builder row = new DfaState.Builder();
      int last = -1;
      for (Map.Entry<Integer, Integer> entry : tries.get(i).entrySet()) {
        row.range(last + 1, nowhere);
        row.range(entry.getKey(), entry.getValue());
        last = entry.getKey();
      }
      row.range(last + 1, nowhere);
      rows.add(row.build(accepts.get(i)));
    }
    rows.add(new DfaState.Builder().range(0, nowhere).build(false));
    return new CharDfa(complexity, rows);
  }

  /** All texts. */
  static CharDfa all(Complexity complexity) {
    return atLeast(0, complexity);
  }

  /** The texts of so many characters or more. */
  static CharDfa atLeast(int min, Complexity complexity) {
    List<DfaState> rows = new ArrayList<>();
    for (int i = 0; i <= min; i++) {
      complexity.work(1);
      rows.add(new DfaState.Builder().range(0, Math.min(i + 1, min)).build(i == min));
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
    List<DfaState> all = new ArrayList<>();
    pair(0, 0, known, pairs);
    for (int i = 0; i < pairs.size(); i++) {
      DfaState a = rows.get((int) pairs.get(i)[0]);
      DfaState b = other.rows.get((int) pairs.get(i)[1]);
      DfaState.Builder row = new DfaState.Builder();
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
      DfaState row = rows.get(i);
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
      DfaState row = rows.get(i);
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
  private static BitSet reaching(List<DfaState> rows) {
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
}

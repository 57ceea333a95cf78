package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A JSON array being written: where its items may begin and where it may end. */
final class ArrayRule {
  /** Of so many values all sets have nodes of their own, so that they may come in any order. */
  private static final int MAX_SETS_OF = 6;

  private final JsonRules json;
  private final Nfa nfa;
  private final int open;
  private final int close;

  /** Writes an item from a node on and says where it ends. */
  @FunctionalInterface
  interface Item {
    int write(int from, int index);
  }

  /**
   * @param from where the bracket stands
   */
  ArrayRule(JsonRules json, Nfa nfa, int from) {
    this.json = json;
    this.nfa = nfa;
    this.close = nfa.node();
    this.open = nfa.node();
    nfa.bytes(from, '[', '[', open);
  }

  /** Where an item begins behind what is before it: an item, or the bracket. */
  private int next(int behind) {
    int begin = nfa.node();
    if (behind == open) {
      json.space(nfa, behind, begin);
    } else {
      int comma = nfa.node();
      nfa.bytes(behind, ',', ',', comma);
      json.space(nfa, comma, begin);
    }
    return begin;
  }

  /** The array may end there. */
  private void mayEnd(int behind) {
    json.space(nfa, behind, close);
  }

  private int end() {
    int end = nfa.node();
    nfa.bytes(close, ']', ']', end);
    return end;
  }

  /**
   * Items one by one, those from some index on all alike.
   *
   * @param alike the index
   * @param max -1 for any number
   * @return where the array ends
   */
  int items(Item item, int alike, int min, int max) {
    int at = open;
    int first = Math.max(alike, min);
    int last = max < 0 ? first : max;
    for (int i = 0; i < last; i++) {
      if (i >= min) {
        mayEnd(at);
      }
      at = item.write(next(at), i);
    }
    mayEnd(at);
    if (max < 0) {
      int behind = nfa.node();
      nfa.epsilon(item.write(next(at), last), behind);
      mayEnd(behind);
      nfa.epsilon(item.write(next(behind), last), behind);
    }
    return end();
  }

  /**
   * Items of which some satisfy more: at least so many, and at most.
   *
   * @param item any, or where those are counted to a most one that doesn't satisfy it
   * @param contained one that does
   * @param max of the items, -1 for any number
   */
  int containing(
      Item item, Item contained, int alike, int min, int max, int minContained, int maxContained) {
    int most = Math.max(minContained, maxContained);
    int cap = max < 0 ? Math.max(1, Math.max(alike, min)) : max;
    int[][] behind = new int[cap + 1][most + 1]; // by items and those that were counted
    for (int[] row : behind) {
      nfa.complexity().work(row.length);
      Arrays.fill(row, -1);
    }
    behind[0][0] = open;
    for (int i = 0; i <= cap; i++) {
      int target = i < cap ? i + 1 : max < 0 ? cap : -1;
      for (int count = 0; count <= most; count++) {
        if (behind[i][count] < 0) {
          continue;
        }
        if (i >= min && count >= minContained) {
          mayEnd(behind[i][count]);
        }
        if (target >= 0) {
          step(item, i, behind[i][count], behind[target], count);
          if (count < most) {
            step(contained, i, behind[i][count], behind[target], count + 1);
          }
        }
      }
    }
    return end();
  }

  private void step(Item item, int index, int from, int[] behind, int count) {
    behind[count] = behind[count] < 0 ? nfa.node() : behind[count];
    nfa.epsilon(item.write(next(from), index), behind[count]);
  }

  /**
   * Some of these values, none twice: in any order where they are few, else in this one.
   *
   * @param max -1 for any number
   */
  int distinct(List<JsonNode> values, int min, int max) {
    int most = max < 0 ? values.size() : Math.min(max, values.size());
    Map<List<Integer>, Integer> behind =
        new HashMap<>(); // by the values that are gone, and how many
    boolean anyOrder = values.size() <= MAX_SETS_OF;
    Deque<List<Integer>> states = new ArrayDeque<>();
    behind.put(List.of(0, 0), open);
    states.add(List.of(0, 0));
    while (!states.isEmpty()) {
      List<Integer> state = states.remove();
      int gone = state.get(0);
      int count = state.get(1);
      int from = behind.getOrDefault(state, open);
      if (count >= min) {
        mayEnd(from);
      }
      if (count == most) {
        continue;
      }
      int begin = next(from);
      for (int i = anyOrder ? 0 : gone; i < values.size(); i++) {
        if (anyOrder && (gone >> i & 1) != 0) {
          continue;
        }
        List<Integer> next = List.of(anyOrder ? gone | 1 << i : i + 1, count + 1);
        if (!behind.containsKey(next)) {
          behind.put(next, nfa.node());
          states.add(next);
        }
        int value = nfa.node();
        nfa.epsilon(begin, value);
        nfa.epsilon(
            json.literal(nfa, value, values.get(i).toString()), behind.getOrDefault(next, open));
      }
    }
    return end();
  }
}

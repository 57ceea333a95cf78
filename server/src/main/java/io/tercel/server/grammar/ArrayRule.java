package io.tercel.server.grammar;

import java.util.function.IntUnaryOperator;

/** A JSON array being written: its first items one by one, then the rest, all alike. */
final class ArrayRule {
  private final JsonRules json;
  private final Nfa nfa;
  private final int close;
  private int at;
  private int items;

  /**
   * @param from where the bracket stands
   */
  ArrayRule(JsonRules json, Nfa nfa, int from) {
    this.json = json;
    this.nfa = nfa;
    this.close = nfa.node();
    this.at = nfa.node();
    nfa.bytes(from, '[', '[', at);
  }

  /**
   * The next item.
   *
   * @param value writes it from a node on and says where it ends
   * @param mayStop whether the array may end before it
   */
  void item(IntUnaryOperator value, boolean mayStop) {
    if (mayStop) {
      json.space(nfa, at, close);
    }
    at = value.applyAsInt(begin());
    items++;
  }

  private int begin() {
    int begin = nfa.node();
    if (items == 0) {
      json.space(nfa, at, begin);
    } else {
      int comma = nfa.node();
      nfa.bytes(at, ',', ',', comma);
      json.space(nfa, comma, begin);
    }
    return begin;
  }

  /**
   * The rest, and the closing bracket.
   *
   * @param max items of all; -1 for any number
   * @return where the array ends
   */
  int rest(IntUnaryOperator value, int min, int max) {
    while (items < min || items < max) {
      item(value, items >= min);
    }
    json.space(nfa, at, close);
    if (max < 0) {
      int behind = nfa.node();
      nfa.epsilon(value.applyAsInt(begin()), behind);
      json.space(nfa, behind, close);
      int comma = nfa.node();
      nfa.bytes(behind, ',', ',', comma);
      int again = nfa.node();
      json.space(nfa, comma, again);
      nfa.epsilon(value.applyAsInt(again), behind);
    }
    return end();
  }

  /** The closing bracket where nothing may follow; returns where the array ends. */
  int end() {
    int end = nfa.node();
    nfa.bytes(close, ']', ']', end);
    return end;
  }
}

package io.tercel.server.grammar;

import java.util.Collection;
import java.util.function.IntUnaryOperator;

/** A JSON object being written: its properties in their order, then others. */
final class ObjectRule {
  private final JsonRules json;
  private final Nfa nfa;
  private final int open;

  /** Behind the properties so far, none of them written; -1 where one must be. */
  private int none;

  /** Behind the properties so far, some written; -1 at first. */
  private int some = -1;

  private boolean mayBeEmpty = true;

  /**
   * @param from where the brace stands
   */
  ObjectRule(JsonRules json, Nfa nfa, int from) {
    this.json = json;
    this.nfa = nfa;
    this.open = nfa.node();
    nfa.bytes(from, '{', '{', open);
    this.none = open;
  }

  private ObjectRule(JsonRules json, Nfa nfa, int open, int some) {
    this.json = json;
    this.nfa = nfa;
    this.open = open;
    this.none = -1;
    this.some = some;
    this.mayBeEmpty = false;
  }

  /** The rest of an object of which a property was written. */
  static ObjectRule behindFirst(JsonRules json, Nfa nfa, int from) {
    return new ObjectRule(json, nfa, from, from);
  }

  /** Behind the properties so far, the last of which had to be written. */
  int behind() {
    return some;
  }

  /**
   * The next property.
   *
   * @param value writes the value from a node on and says where it ends
   */
  void property(String name, boolean required, IntUnaryOperator value) {
    int key = key();
    int colon = nfa.literal(key, JsonRules.text(name));
    int behind = nfa.node();
    nfa.epsilon(value.applyAsInt(colon(colon)), behind);
    if (!required) {
      if (some >= 0) {
        nfa.epsilon(some, behind);
      }
    } else {
      mayBeEmpty = false;
    }
    some = behind;
    none = mayBeEmpty ? open : -1;
  }

  /** Where a key may be written next. */
  private int key() {
    int key = nfa.node();
    if (none >= 0) {
      json.space(nfa, none, key);
    }
    if (some >= 0) {
      int comma = nfa.node();
      nfa.bytes(some, ',', ',', comma);
      json.space(nfa, comma, key);
    }
    return key;
  }

  private int colon(int from) {
    int colon = nfa.node();
    nfa.bytes(from, ':', ':', colon);
    int value = nfa.node();
    nfa.epsilon(colon, value);
    nfa.bytes(colon, ' ', ' ', value);
    return value;
  }

  /** Any number of further properties, of other names than these. */
  ObjectRule additional(Collection<String> names, IntUnaryOperator value) {
    int key = key();
    int behind = nfa.node();
    nfa.epsilon(value.applyAsInt(colon(json.otherKey(nfa, key, names))), behind);
    if (some >= 0) {
      nfa.epsilon(some, behind);
    }
    int comma = nfa.node();
    nfa.bytes(behind, ',', ',', comma);
    json.space(nfa, comma, key);
    some = behind;
    return this;
  }

  /** The closing brace; returns where the object ends. */
  int end() {
    int close = nfa.node();
    if (none >= 0) {
      json.space(nfa, none, close);
    }
    if (some >= 0) {
      json.space(nfa, some, close);
    }
    int end = nfa.node();
    nfa.bytes(close, '}', '}', end);
    return end;
  }
}

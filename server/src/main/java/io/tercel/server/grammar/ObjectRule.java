package io.tercel.server.grammar;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntUnaryOperator;

/**
 * A JSON object being written: its properties in their order, then others, and their number where
 * it is bounded.
 */
final class ObjectRule {
  private final JsonRules json;
  private final Nfa nfa;
  private final int min;
  private final int max;

  /** Counts from here on are all one, where there is no most. */
  private final int cap;

  /** Behind the properties so far, by how many were written; -1 where that can't be. */
  private int[] at;

  /** The same behind others, of which the names may be the same: those don't add to the least. */
  private int[] behindOthers;

  /** Of these enough were written. */
  private int[] enough;

  /** A further property: where its name ends, and its value. */
  record Other(IntUnaryOperator key, IntUnaryOperator value) {}

  /**
   * @param from where the brace stands
   * @param max -1 for any number
   */
  ObjectRule(JsonRules json, Nfa nfa, int from, int min, int max) {
    this(json, nfa, min, max);
    at[0] = nfa.node();
    nfa.bytes(from, '{', '{', at[0]);
  }

  private ObjectRule(JsonRules json, Nfa nfa, int min, int max) {
    this.json = json;
    this.nfa = nfa;
    this.min = min;
    this.max = max;
    this.cap = Math.max(1, max < 0 ? min : max);
    nfa.complexity().work(cap);
    this.at = none();
    this.behindOthers = none();
    this.enough = none();
  }

  /** The rest of an object of which a property was written. */
  static ObjectRule behindFirst(JsonRules json, Nfa nfa, int from) {
    ObjectRule rule = new ObjectRule(json, nfa, 0, -1);
    rule.at[1] = from;
    return rule;
  }

  private int[] none() {
    int[] nodes = new int[cap + 1];
    Arrays.fill(nodes, -1);
    return nodes;
  }

  /** Behind the properties so far, the last of which had to be written. */
  int behind() {
    return at[1];
  }

  /**
   * The next property.
   *
   * @param value writes the value from a node on and says where it ends
   */
  void property(String name, boolean required, IntUnaryOperator value) {
    int[] next = none();
    for (int count = 0; count <= cap; count++) {
      int target = count(count);
      if (at[count] < 0 || target < 0) {
        continue;
      }
      if (next[target] < 0) {
        next[target] = nfa.node();
        int key = nfa.node();
        separate(at, target, key);
        int colon = nfa.literal(key, JsonRules.text(name));
        nfa.epsilon(value.applyAsInt(colon(colon)), next[target]);
      }
    }
    for (int count = 0; count <= cap && !required; count++) {
      if (at[count] >= 0) {
        if (next[count] < 0) {
          next[count] = at[count];
        } else {
          nfa.epsilon(at[count], next[count]);
        }
      }
    }
    at = next;
  }

  /** The count behind one more, or -1 if that is too many. */
  private int count(int before) {
    return max >= 0 && before >= max ? -1 : Math.min(before + 1, cap);
  }

  /** Leads to where a key is written that makes them so many. */
  private void separate(int[] behind, int target, int key) {
    for (int count = 0; count <= cap; count++) {
      if (behind[count] >= 0 && count(count) == target) {
        separate(behind[count], behind == at && count == 0, key);
      }
    }
  }

  private void separate(int from, boolean isFirst, int key) {
    if (isFirst) {
      json.space(nfa, from, key);
    } else {
      int comma = nfa.node();
      nfa.bytes(from, ',', ',', comma);
      json.space(nfa, comma, key);
    }
  }

  private int colon(int from) {
    int colon = nfa.node();
    nfa.bytes(from, ':', ':', colon);
    int value = nfa.node();
    nfa.epsilon(colon, value);
    nfa.bytes(colon, ' ', ' ', value);
    return value;
  }

  /** Any number of further properties, as far as all may be so many. */
  ObjectRule others(List<Other> others) {
    if (others.isEmpty()) {
      return this;
    }
    for (int target = 1; target <= cap; target++) {
      others(others, target, behindOthers);
      others(others, target, enough);
    }
    return this;
  }

  private void others(List<Other> others, int target, int[] behind) {
    int[] first = none();
    boolean reached = false;
    for (int count = 0; count <= cap; count++) {
      if (count(count) == target) {
        first[count] = (count + 1 >= min) == (behind == enough) ? at[count] : -1;
        reached |= first[count] >= 0 || behind[count] >= 0;
      }
    }
    if (!reached) {
      return;
    }
    behind[target] = behind[target] < 0 ? nfa.node() : behind[target];
    int key = nfa.node();
    for (int count = 0; count <= cap; count++) {
      if (first[count] >= 0) {
        separate(first[count], count == 0, key);
      }
    }
    separate(behind, target, key);
    for (Other other : others) {
      int colon = colon(other.key().applyAsInt(key));
      nfa.epsilon(other.value().applyAsInt(colon), behind[target]);
    }
  }

  /** The closing brace; returns where the object ends. */
  int end() {
    int close = nfa.node();
    for (int count = 0; count <= cap; count++) {
      if (at[count] >= 0 && count >= min) {
        json.space(nfa, at[count], close);
      }
      if (enough[count] >= 0) {
        json.space(nfa, enough[count], close);
      }
    }
    int end = nfa.node();
    nfa.bytes(close, '}', '}', end);
    return end;
  }
}

package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.node.TextNode;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * JSON's own texts, RFC 8259: strings, numbers, any value. White space is optional and bounded, so
 * that no model gets lost in it: between tokens either nothing, a blank, or a line break with up to
 * {@link #MAX_INDENT} blanks or tabs.
 */
final class JsonRules {
  static final int MAX_INDENT = 32;
  private static final int MAX_LEADING_SPACE = 2;

  private final Grammar.Builder builder;
  private final int space;
  private final int string;
  private final int number;
  private final int value;
  private final Map<Grammar.Length, Integer> counted = new HashMap<>();

  JsonRules(Grammar.Builder builder) {
    this.builder = builder;
    this.space = builder.declare();
    this.string = builder.declare();
    this.number = builder.declare();
    this.value = builder.declare();
  }

  /** A string's JSON, with the escapes that it needs. */
  static byte[] text(String string) {
    return TextNode.valueOf(string).toString().getBytes(StandardCharsets.UTF_8);
  }

  /** Writes the rules themselves, once. */
  void finish() {
    defineSpace();
    Nfa nfa = builder.nfa();
    int start = nfa.node();
    builder.define(string, nfa, start, writeString(nfa, start));
    nfa = builder.nfa();
    start = nfa.node();
    builder.define(number, nfa, start, writeNumber(nfa, start));
    nfa = builder.nfa();
    start = nfa.node();
    builder.define(value, nfa, start, writeValue(nfa, start));
  }

  private void defineSpace() {
    Nfa nfa = builder.nfa();
    int start = nfa.node();
    int end = nfa.node();
    nfa.epsilon(start, end);
    nfa.bytes(start, ' ', ' ', end);
    int at = nfa.node();
    nfa.bytes(start, '\n', '\n', at);
    for (int i = 0; i < MAX_INDENT; i++) {
      nfa.epsilon(at, end);
      int next = nfa.node();
      nfa.bytes(at, ' ', ' ', next);
      nfa.bytes(at, '\t', '\t', next);
      at = next;
    }
    nfa.epsilon(at, end);
    builder.define(space, nfa, start, end);
  }

  /** Up to two blanks or line breaks before the text. */
  int leadingSpace(Nfa nfa, int from) {
    int end = nfa.node();
    int at = from;
    for (int i = 0; i < MAX_LEADING_SPACE; i++) {
      nfa.epsilon(at, end);
      int next = nfa.node();
      nfa.bytes(at, ' ', ' ', next);
      nfa.bytes(at, '\n', '\n', next);
      at = next;
    }
    nfa.epsilon(at, end);
    return end;
  }

  /** Optional white space between two tokens. */
  void space(Nfa nfa, int from, int to) {
    nfa.call(from, space, to);
  }

  int string(Nfa nfa, int from) {
    int to = nfa.node();
    nfa.call(from, string, to);
    return to;
  }

  int number(Nfa nfa, int from) {
    int to = nfa.node();
    nfa.call(from, number, to);
    return to;
  }

  int value(Nfa nfa, int from) {
    int to = nfa.node();
    nfa.call(from, value, to);
    return to;
  }

  int literal(Nfa nfa, int from, String text) {
    return nfa.literal(from, text.getBytes(StandardCharsets.UTF_8));
  }

  int anyObject(Nfa nfa, int from) {
    ObjectRule.Other any =
        new ObjectRule.Other(key -> string(nfa, key), value -> value(nfa, value));
    return new ObjectRule(this, nfa, from, 0, -1).others(List.of(any)).end();
  }

  int anyArray(Nfa nfa, int from) {
    return new ArrayRule(this, nfa, from).items((n, _) -> value(nfa, n), 0, 0, -1);
  }

  private int writeValue(Nfa nfa, int from) {
    int to = nfa.node();
    nfa.epsilon(writeString(nfa, from), to);
    nfa.epsilon(writeNumber(nfa, from), to);
    nfa.epsilon(anyObject(nfa, from), to);
    nfa.epsilon(anyArray(nfa, from), to);
    for (String word : new String[] {"true", "false", "null"}) {
      nfa.epsilon(literal(nfa, from, word), to);
    }
    return to;
  }

  /** Any string. */
  private int writeString(Nfa nfa, int from) {
    int begin = nfa.literal(from, new byte[] {'"'});
    return nfa.literal(writeCharacters(nfa, begin), new byte[] {'"'});
  }

  /** Any number of characters. */
  private int writeCharacters(Nfa nfa, int from) {
    int at = nfa.node();
    nfa.epsilon(from, at);
    nfa.betweenCharacters(at);
    character(nfa, at, at);
    return at;
  }

  /**
   * A rule of a string's characters of such a length.
   *
   * @param texts null for any
   */
  int counted(@Nullable CharDfa texts, Grammar.Length length) {
    Integer known = texts == null ? counted.get(length) : null;
    if (known != null) {
      return known;
    }
    int rule = builder.declare();
    Nfa nfa = builder.nfa();
    int start = nfa.node();
    int end = texts == null ? writeCharacters(nfa, start) : texts.write(nfa, start, Spelling.JSON);
    builder.define(rule, nfa, start, end, length);
    if (texts == null) {
      counted.put(length, rule);
    }
    return rule;
  }

  /** One character of a string. */
  private static void character(Nfa nfa, int from, int to) {
    int one = nfa.node(); // so many bytes to go
    int two = nfa.node();
    int three = nfa.node();
    nfa.bytes(one, 0x80, 0xBF, to);
    nfa.bytes(two, 0x80, 0xBF, one);
    nfa.bytes(three, 0x80, 0xBF, two);
    nfa.bytes(from, 0x20, '"' - 1, to);
    nfa.bytes(from, '"' + 1, '\\' - 1, to);
    nfa.bytes(from, '\\' + 1, 0x7F, to);
    nfa.bytes(from, 0xC2, 0xDF, one);
    lead(nfa, from, 0xE0, 0xA0, 0xBF, one);
    nfa.bytes(from, 0xE1, 0xEC, two);
    lead(nfa, from, 0xED, 0x80, 0x9F, one);
    nfa.bytes(from, 0xEE, 0xEF, two);
    lead(nfa, from, 0xF0, 0x90, 0xBF, two);
    nfa.bytes(from, 0xF1, 0xF3, three);
    lead(nfa, from, 0xF4, 0x80, 0x8F, two);
    int escape = nfa.node();
    nfa.bytes(from, '\\', '\\', escape);
    for (char c : "\"\\/bfnrt".toCharArray()) {
      nfa.bytes(escape, c, c, to);
    }
    unicodeEscape(nfa, escape, to);
  }

  private static void lead(Nfa nfa, int from, int lead, int low, int high, int to) {
    int next = nfa.node();
    nfa.bytes(from, lead, lead, next);
    nfa.bytes(next, low, high, to);
  }

  /** The u and the digits; halves of surrogate pairs only in pairs. */
  private static void unicodeEscape(Nfa nfa, int escape, int to) {
    int first = nfa.node();
    nfa.bytes(escape, 'u', 'u', first);
    int second = nfa.node();
    hex(nfa, first, 0x0, 0xC, second);
    hex(nfa, first, 0xE, 0xF, second);
    hexDigits(nfa, second, 3, to);
    int d = nfa.node();
    hex(nfa, first, 0xD, 0xD, d);
    int basic = nfa.node();
    hex(nfa, d, 0x0, 0x7, basic);
    hexDigits(nfa, basic, 2, to);
    int high = nfa.node();
    hex(nfa, d, 0x8, 0xB, high);
    int low = nfa.node();
    hexDigits(nfa, high, 2, low);
    low = nfa.literal(low, new byte[] {'\\', 'u'});
    int lowD = nfa.node();
    hex(nfa, low, 0xD, 0xD, lowD);
    int lowRest = nfa.node();
    hex(nfa, lowD, 0xC, 0xF, lowRest);
    hexDigits(nfa, lowRest, 2, to);
  }

  private static void hexDigits(Nfa nfa, int from, int count, int to) {
    int at = from;
    for (int i = 0; i < count; i++) {
      int next = i == count - 1 ? to : nfa.node();
      hex(nfa, at, 0, 15, next);
      at = next;
    }
  }

  private static void hex(Nfa nfa, int from, int low, int high, int to) {
    if (low <= 9) {
      nfa.bytes(from, '0' + low, '0' + Math.min(9, high), to);
    }
    if (high > 9) {
      int letter = Math.max(low, 10) - 10;
      nfa.bytes(from, 'a' + letter, 'a' + high - 10, to);
      nfa.bytes(from, 'A' + letter, 'A' + high - 10, to);
    }
  }

  /** Up to 18 digits before the point and behind it; an exponent of up to two. */
  private static int writeNumber(Nfa nfa, int from) {
    int to = nfa.node();
    int unsigned = nfa.node();
    nfa.epsilon(from, unsigned);
    nfa.bytes(from, '-', '-', unsigned);
    int whole = IntegerRange.write(nfa, unsigned, 0, IntegerRange.MAX, 1);
    nfa.epsilon(whole, to);
    int fraction = digits(nfa, nfa.literal(whole, new byte[] {'.'}), IntegerRange.MAX_DIGITS);
    nfa.epsilon(fraction, to);
    int exponent = nfa.node();
    for (int mantissa : new int[] {whole, fraction}) {
      nfa.bytes(mantissa, 'e', 'e', exponent);
      nfa.bytes(mantissa, 'E', 'E', exponent);
    }
    int power = nfa.node();
    nfa.epsilon(exponent, power);
    nfa.bytes(exponent, '+', '+', power);
    nfa.bytes(exponent, '-', '-', power);
    nfa.epsilon(digits(nfa, power, 2), to);
    return to;
  }

  /** A number that is not whole: without an exponent, its last digit none that can be left out. */
  static int fraction(Nfa nfa, int from) {
    int unsigned = nfa.node();
    nfa.epsilon(from, unsigned);
    nfa.bytes(from, '-', '-', unsigned);
    int whole = IntegerRange.write(nfa, unsigned, 0, 999_999_999, 1);
    int at = nfa.literal(whole, new byte[] {'.'});
    int to = nfa.node();
    for (int i = 0; i < 6; i++) {
      nfa.bytes(at, '1', '9', to);
      int next = nfa.node();
      nfa.bytes(at, '0', '9', next);
      at = next;
    }
    return to;
  }

  private static int digits(Nfa nfa, int from, int most) {
    int to = nfa.node();
    int at = from;
    for (int i = 0; i < most; i++) {
      int next = nfa.node();
      nfa.bytes(at, '0', '9', next);
      nfa.epsilon(next, to);
      at = next;
    }
    return to;
  }

  /**
   * A key that is none of these, written without escapes: so no other spelling of them slips in.
   *
   * @return where it ends
   */
  int otherKey(Nfa nfa, int from, Collection<String> names) {
    if (names.isEmpty()) {
      return string(nfa, from);
    }
    int begin = nfa.node();
    nfa.bytes(from, '"', '"', begin);
    int to = nfa.node();
    int free = nfa.node();
    CharSet plain = CharSet.of(0x20, '"' - 1).or(CharSet.of('"' + 1, '\\' - 1));
    plain = plain.or(CharSet.of('\\' + 1, CharSet.LAST));
    Spelling.PLAIN.write(nfa, free, plain, free);
    nfa.bytes(free, '"', '"', to);
    Prefix root = new Prefix();
    names.forEach(root::add);
    root.write(nfa, begin, plain, free, to);
    return to;
  }

  /** The beginning of one or more names. */
  private static final class Prefix {
    private final Map<Integer, Prefix> next = new TreeMap<>();
    private boolean isName;

    void add(String name) {
      Prefix at = this;
      for (int c : name.codePoints().toArray()) {
        at = at.next.computeIfAbsent(c, _ -> new Prefix());
      }
      at.isName = true;
    }

    /** Whoever leaves the names' ways is free; who stays on one may not end with a name. */
    void write(Nfa nfa, int from, CharSet plain, int free, int to) {
      CharSet leaving = plain;
      for (Map.Entry<Integer, Prefix> entry : next.entrySet()) {
        CharSet only = CharSet.of(entry.getKey(), entry.getKey());
        leaving = leaving.and(only.complement());
        if (plain.contains(entry.getKey())) {
          int child = nfa.node();
          Spelling.PLAIN.write(nfa, from, only, child);
          entry.getValue().write(nfa, child, plain, free, to);
        }
      }
      Spelling.PLAIN.write(nfa, from, leaving, free);
      if (!isName) {
        nfa.bytes(from, '"', '"', to);
      }
    }
  }
}

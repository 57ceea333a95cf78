package io.tercel.server.grammar;

import java.util.ArrayList;
import java.util.List;

/**
 * Reads the regular part of ECMAScript's regular expressions: characters, classes, groups,
 * alternatives, repeats, and anchors at the ends. What looks around or back is refused.
 */
final class RegexParser {
  private static final int MAX_LENGTH = 8192;
  private static final int MAX_DEPTH = 100;

  /** Copies are counted where they are made, so this only keeps numbers small. */
  private static final int MAX_REPEAT = 100_000;

  private final String text;
  private final String path;
  private int at;
  private int depth;

  private RegexParser(String text, String path) {
    this.text = text;
    this.path = path;
  }

  /**
   * The expression that the whole text must match.
   *
   * @throws GrammarException if it is malformed or not regular
   */
  static Regex whole(String text, String path) {
    Regex regex = parse(text, path);
    return anchored(regex, true, true, path);
  }

  /** The expression of all texts in which some part matches, as JSON Schema has it. */
  static Regex within(String text, String path) {
    Regex regex = parse(text, path);
    Regex any = new Regex.Repeat(new Regex.Chars(CharSet.ALL), 0, -1);
    List<Regex> all = new ArrayList<>();
    for (Regex part : regex instanceof Regex.Choice c ? c.parts() : List.of(regex)) {
      List<Regex> row = new ArrayList<>();
      if (!edge(part, Regex.Anchor.START)) {
        row.add(any);
      }
      row.add(anchored(part, true, true, path));
      if (!edge(part, Regex.Anchor.END)) {
        row.add(any);
      }
      all.add(new Regex.Sequence(row));
    }
    return new Regex.Choice(all);
  }

  private static Regex parse(String text, String path) {
    if (text.length() > MAX_LENGTH) {
      throw new GrammarException(path, "is longer than %d characters".formatted(MAX_LENGTH));
    }
    RegexParser parser = new RegexParser(text, path);
    Regex regex = parser.choice();
    if (parser.at < text.length()) {
      throw parser.bad("has a ')' without a '('");
    }
    return regex;
  }

  /** Whether it has an anchor at its beginning or end, in all its alternatives. */
  private static boolean edge(Regex regex, Regex.Anchor anchor) {
    return switch (regex) {
      case Regex.Anchor a -> a == anchor;
      case Regex.Sequence s ->
          !s.parts().isEmpty()
              && edge(
                  anchor == Regex.Anchor.START ? s.parts().getFirst() : s.parts().getLast(),
                  anchor);
      case Regex.Choice c -> c.parts().stream().allMatch(p -> edge(p, anchor));
      case Regex.Chars _, Regex.Repeat _ -> false;
    };
  }

  /** Refuses anchors that are not where the text begins or ends, or only in some alternatives. */
  private static Regex anchored(Regex regex, boolean first, boolean last, String path) {
    switch (regex) {
      case Regex.Anchor a -> {
        if (!(a == Regex.Anchor.START ? first : last)) {
          throw new GrammarException(path, "has ^ or $ elsewhere than at its ends");
        }
      }
      case Regex.Sequence s -> {
        for (int i = 0; i < s.parts().size(); i++) {
          anchored(s.parts().get(i), first && i == 0, last && i == s.parts().size() - 1, path);
        }
      }
      case Regex.Choice c -> {
        for (Regex.Anchor anchor : Regex.Anchor.values()) {
          boolean some = c.parts().stream().anyMatch(p -> edge(p, anchor));
          if (some && !edge(c, anchor)) {
            throw new GrammarException(path, "has ^ or $ in some alternatives of a group only");
          }
        }
        c.parts().forEach(p -> anchored(p, first, last, path));
      }
      case Regex.Repeat r -> anchored(r.part(), false, false, path);
      case Regex.Chars _ -> {}
    }
    return regex;
  }

  private Regex choice() {
    if (++depth > MAX_DEPTH) {
      throw bad("nests groups too deep");
    }
    List<Regex> parts = new ArrayList<>();
    parts.add(sequence());
    while (at < text.length() && text.charAt(at) == '|') {
      at++;
      parts.add(sequence());
    }
    depth--;
    return parts.size() == 1 ? parts.getFirst() : new Regex.Choice(parts);
  }

  private Regex sequence() {
    List<Regex> parts = new ArrayList<>();
    while (at < text.length() && text.charAt(at) != '|' && text.charAt(at) != ')') {
      parts.add(repeated(atom()));
    }
    return parts.size() == 1 ? parts.getFirst() : new Regex.Sequence(parts);
  }

  private Regex repeated(Regex atom) {
    Regex regex = atom;
    if (at == text.length()) {
      return regex;
    }
    int min = 0;
    int max = -1;
    switch (text.charAt(at)) {
      case '*' -> {}
      case '+' -> min = 1;
      case '?' -> max = 1;
      case '{' -> {
        int close = text.indexOf('}', at);
        String inside = close < 0 ? "" : text.substring(at + 1, close);
        if (!inside.matches("[0-9]{1,6}(,([0-9]{1,6})?)?")) {
          throw bad("has a '{' that begins no repeat; write \\{ for the character");
        }
        String[] bounds = inside.split(",", -1);
        min = Integer.parseInt(bounds[0]);
        max = bounds.length == 1 ? min : bounds[1].isEmpty() ? -1 : Integer.parseInt(bounds[1]);
        if ((max >= 0 && max < min) || Math.max(min, max) > MAX_REPEAT) {
          throw bad("has a repeat out of order or too large: {" + inside + "}");
        }
        at = close;
      }
      default -> {
        return regex;
      }
    }
    at++;
    if (atom instanceof Regex.Anchor) {
      throw bad("repeats ^ or $");
    }
    if (at < text.length() && text.charAt(at) == '?') {
      at++; // lazy or not, the same texts match
    }
    if (at < text.length() && "*+?{".indexOf(text.charAt(at)) >= 0) {
      throw bad("repeats a repeat; put a group around the inner one");
    }
    return new Regex.Repeat(regex, min, max);
  }

  private Regex atom() {
    int c = next();
    return switch (c) {
      case '(' -> group();
      case '[' -> new Regex.Chars(set());
      case '.' -> new Regex.Chars(CharSet.DOT);
      case '^' -> Regex.Anchor.START;
      case '$' -> Regex.Anchor.END;
      case '\\' -> new Regex.Chars(escape(false));
      case '*', '+', '?' -> throw bad("has a repeat with nothing before it");
      case '{' -> throw bad("has a '{' with nothing before it; write \\{ for the character");
      default -> new Regex.Chars(CharSet.of(c, c));
    };
  }

  private Regex group() {
    if (text.startsWith("?", at)) {
      if (text.startsWith("?:", at)) {
        at += 2;
      } else if (text.startsWith("?<", at)
          && !text.startsWith("?<=", at)
          && !text.startsWith("?<!", at)) {
        int close = text.indexOf('>', at);
        if (close < 0) {
          throw bad("has a group whose name does not end");
        }
        at = close + 1;
      } else {
        throw bad("looks ahead or behind, which is not supported");
      }
    }
    Regex inner = choice();
    if (at == text.length()) {
      throw bad("has a '(' without a ')'");
    }
    at++;
    return inner;
  }

  private CharSet set() {
    boolean negated = text.startsWith("^", at);
    at += negated ? 1 : 0;
    CharSet all = new CharSet(List.of());
    while (true) {
      if (at == text.length()) {
        throw bad("has a '[' without a ']'");
      }
      int c = next();
      if (c == ']') {
        break;
      }
      CharSet item = c == '\\' ? escape(true) : CharSet.of(c, c);
      boolean single = item.ranges().size() == 1 && size(item) == 1;
      if (single && text.startsWith("-", at) && !text.startsWith("-]", at)) {
        at++;
        int end = at < text.length() ? next() : ']';
        CharSet high = end == '\\' ? escape(true) : CharSet.of(end, end);
        int first = item.ranges().getFirst().first();
        int last = high.ranges().getFirst().first();
        if (size(high) != 1 || last < first) {
          throw bad("has a range in [] that is out of order");
        }
        item = CharSet.of(first, last);
      }
      all = all.or(item);
    }
    return negated ? all.complement() : all;
  }

  private static int size(CharSet set) {
    CharSet.Range only = set.ranges().getFirst();
    return set.ranges().size() == 1 ? only.last() - only.first() + 1 : 2;
  }

  private CharSet escape(boolean inSet) {
    if (at == text.length()) {
      throw bad("ends in a backslash");
    }
    int c = next();
    return switch (c) {
      case 'd' -> CharSet.DIGIT;
      case 'D' -> CharSet.DIGIT.complement();
      case 'w' -> CharSet.WORD;
      case 'W' -> CharSet.WORD.complement();
      case 's' -> CharSet.SPACE;
      case 'S' -> CharSet.SPACE.complement();
      case 'n' -> CharSet.of('\n', '\n');
      case 'r' -> CharSet.of('\r', '\r');
      case 't' -> CharSet.of('\t', '\t');
      case 'f' -> CharSet.of('\f', '\f');
      case 'v' -> CharSet.of(0x0B, 0x0B);
      case '0' -> CharSet.of(0, 0);
      case 'x' -> hex(2);
      case 'u' -> text.startsWith("{", at) ? braced() : hex(4);
      case 'b' -> {
        if (inSet) {
          yield CharSet.of('\b', '\b');
        }
        throw bad("asks for a word's edge, \\b, which is not supported");
      }
      default -> {
        if (c < 0x80 && Character.isLetterOrDigit(c)) {
          throw bad("has the escape \\" + (char) c + ", which is not supported");
        }
        yield CharSet.of(c, c);
      }
    };
  }

  private CharSet braced() {
    int close = text.indexOf('}', at);
    int digits = close - at - 1;
    if (close < 0 || digits < 1 || digits > 6) {
      throw bad("has a \\u{ that is no character");
    }
    at++;
    CharSet set = hex(digits);
    at++;
    return set;
  }

  private CharSet hex(int digits) {
    int end = Math.min(text.length(), at + digits);
    String number = text.substring(at, end);
    if (number.length() < digits || !number.matches("[0-9A-Fa-f]+")) {
      throw bad("has an escape that is no character");
    }
    at = end;
    int c = Integer.parseInt(number, 16);
    if (c > CharSet.LAST || (c >= 0xD800 && c <= 0xDFFF)) {
      throw bad("has an escape that is no character; write those beyond \\uFFFF as \\u{...}");
    }
    return CharSet.of(c, c);
  }

  private int next() {
    int c = text.codePointAt(at);
    at += Character.charCount(c);
    return c;
  }

  private GrammarException bad(String reason) {
    return new GrammarException(path, reason);
  }
}

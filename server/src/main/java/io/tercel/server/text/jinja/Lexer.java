package io.tercel.server.text.jinja;

import io.tercel.server.text.jinja.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Cuts a template into tokens, with the whitespace rules of trim_blocks and lstrip_blocks.
 *
 * <p>A newline right after a block or comment goes; blanks from a line's start up to a block or
 * comment go; {@code -} at a delimiter takes all whitespace on its side and {@code +} none.
 */
final class Lexer {
  private static final Set<String> LONG_OPERATORS = Set.of("//", "**", "==", "!=", ">=", "<=");
  private static final String OPERATORS = "+-/*%~[](){}><=.:|,;";

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int position;
  private int line = 1;
  private boolean lineStarting = true;

  private Lexer(String source) {
    this.source = source;
  }

  /** The tokens of a template, ending in EOF. */
  static List<Token> tokenize(String template) {
    String source = template.replace("\r\n", "\n").replace('\r', '\n');
    if (source.endsWith("\n")) {
      source = source.substring(0, source.length() - 1);
    }
    return new Lexer(source).run();
  }

  private List<Token> run() {
    while (position < source.length()) {
      int open = nextOpening(position);
      if (open < 0) {
        data(source.substring(position));
        advance(source.length());
        break;
      }
      char kind = source.charAt(open + 1);
      char sign = open + 2 < source.length() ? source.charAt(open + 2) : ' ';
      data(trimBefore(source.substring(position, open), kind, sign));
      advance(open);
      int inner = open + (sign == '-' || (sign == '+' && kind != '{') ? 3 : 2);
      switch (kind) {
        case '#' -> comment(inner);
        case '%' -> {
          if (!raw(inner)) {
            tag(inner, Kind.BLOCK_BEGIN, Kind.BLOCK_END, "%}");
          }
        }
        default -> tag(inner, Kind.OUTPUT_BEGIN, Kind.OUTPUT_END, "}}");
      }
    }
    tokens.add(new Token(Kind.EOF, "", line));
    return tokens;
  }

  private int nextOpening(int from) {
    for (int i = source.indexOf('{', from); i >= 0; i = source.indexOf('{', i + 1)) {
      if (i + 1 < source.length() && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  private String trimBefore(String text, char kind, char sign) {
    if (sign == '-') {
      return PyText.strip(text, false, true);
    }
    if (sign == '+' || kind == '{') {
      return text;
    }
    int lineStart = text.lastIndexOf('\n') + 1;
    boolean blank = PyText.strip(text.substring(lineStart), true, false).isEmpty();
    return blank && (lineStart > 0 || lineStarting) ? text.substring(0, lineStart) : text;
  }

  private void data(String text) {
    if (!text.isEmpty()) {
      tokens.add(new Token(Kind.DATA, text, line));
    }
  }

  private void advance(int to) {
    for (int i = position; i < to; i++) {
      if (source.charAt(i) == '\n') {
        line++;
      }
    }
    if (to > position) {
      lineStarting = source.charAt(to - 1) == '\n';
    }
    position = to;
  }

  private void comment(int inner) {
    int close = source.indexOf("#}", inner);
    if (close < 0) {
      throw new TemplateException("a comment is not closed by '#}'", line);
    }
    advance(afterBlock(close, close + 2));
  }

  /** Where text goes on after a block's or comment's end at {@code close}. */
  private int afterBlock(int close, int end) {
    char sign = source.charAt(close - 1);
    if (sign == '-') {
      return skipWhitespace(end);
    }
    return sign != '+' && end < source.length() && source.charAt(end) == '\n' ? end + 1 : end;
  }

  private int skipWhitespace(int from) {
    int i = from;
    while (i < source.length() && PyText.isSpace(source.charAt(i))) {
      i++;
    }
    return i;
  }

  /** Takes a whole {% raw %} … {% endraw %}; false where the block is another one. */
  private boolean raw(int inner) {
    int word = skipWhitespace(inner);
    if (!source.startsWith("raw", word)) {
      return false;
    }
    int end = skipWhitespace(word + 3);
    boolean dash = source.startsWith("-%}", end);
    if (!dash && !source.startsWith("%}", end)) {
      return false;
    }
    int body = dash ? skipWhitespace(end + 3) : end + 2;
    advance(body);
    for (int i = source.indexOf("{%", body); i >= 0; i = source.indexOf("{%", i + 2)) {
      int j = i + 2;
      char sign = j < source.length() ? source.charAt(j) : ' ';
      j = skipWhitespace(sign == '-' || sign == '+' ? j + 1 : j);
      if (!source.startsWith("endraw", j)) {
        continue;
      }
      j = skipWhitespace(j + 6);
      boolean signed = source.startsWith("-%}", j) || source.startsWith("+%}", j);
      int close = signed ? j + 1 : j;
      if (source.startsWith("%}", close)) {
        data(trimBefore(source.substring(body, i), '%', sign));
        advance(afterBlock(close, close + 2));
        return true;
      }
    }
    throw new TemplateException("a raw block is not closed by 'endraw'", line);
  }

  private void tag(int inner, Kind begin, Kind end, String closing) {
    int openedAt = line;
    tokens.add(new Token(begin, begin == Kind.BLOCK_BEGIN ? "{%" : "{{", line));
    advance(inner);
    int depth = 0;
    while (true) {
      advance(skipWhitespace(position));
      if (position >= source.length()) {
        throw new TemplateException("a tag is not closed by '" + closing + "'", openedAt);
      }
      if (depth == 0 && closes(end, closing)) {
        return;
      }
      char c = source.charAt(position);
      if (c == '"' || c == '\'') {
        string(c);
      } else if (c >= '0' && c <= '9') {
        number();
      } else if (Character.isUnicodeIdentifierStart(c) || c == '_') {
        int i = position + 1;
        while (i < source.length()
            && (Character.isUnicodeIdentifierPart(source.charAt(i))
                && !Character.isIdentifierIgnorable(source.charAt(i)))) {
          i++;
        }
        add(Kind.NAME, source.substring(position, i), i);
      } else {
        depth += operator(c);
      }
    }
  }

  private boolean closes(Kind end, String closing) {
    char c = source.charAt(position);
    int close = c == '-' || (c == '+' && end == Kind.BLOCK_END) ? position + 1 : position;
    if (!source.startsWith(closing, close)) {
      return false;
    }
    tokens.add(new Token(end, closing, line));
    int after = close + 2;
    if (end == Kind.BLOCK_END && close == position) {
      advance(after < source.length() && source.charAt(after) == '\n' ? after + 1 : after);
    } else {
      advance(c == '-' ? skipWhitespace(after) : after);
    }
    return true;
  }

  private void add(Kind kind, String text, int end) {
    tokens.add(new Token(kind, text, line));
    advance(end);
  }

  private int operator(char c) {
    String two = source.substring(position, Math.min(position + 2, source.length()));
    if (LONG_OPERATORS.contains(two)) {
      add(Kind.OPERATOR, two, position + 2);
      return 0;
    }
    if (OPERATORS.indexOf(c) < 0) {
      throw new TemplateException("unexpected character '" + c + "'", line);
    }
    add(Kind.OPERATOR, String.valueOf(c), position + 1);
    return "([{".indexOf(c) >= 0 ? 1 : ")]}".indexOf(c) >= 0 ? -1 : 0;
  }

  private void number() {
    int i = digits(position);
    boolean isFloat = false;
    if (i + 1 < source.length() && source.charAt(i) == '.' && isDigit(i + 1)) {
      isFloat = true;
      i = digits(i + 1);
    }
    if (i < source.length() && (source.charAt(i) == 'e' || source.charAt(i) == 'E')) {
      int exponent = i + 1;
      if (exponent < source.length() && "+-".indexOf(source.charAt(exponent)) >= 0) {
        exponent++;
      }
      if (isDigit(exponent)) {
        isFloat = true;
        i = digits(exponent);
      }
    }
    String text = source.substring(position, i).replace("_", "");
    if (i < source.length() && Character.isUnicodeIdentifierPart(source.charAt(i))) {
      throw new TemplateException("a number goes on with '" + source.charAt(i) + "'", line);
    }
    add(isFloat ? Kind.FLOAT : Kind.INTEGER, text, i);
  }

  private int digits(int from) {
    int i = from;
    while (isDigit(i) || (i < source.length() && source.charAt(i) == '_' && isDigit(i + 1))) {
      i++;
    }
    return i;
  }

  private boolean isDigit(int i) {
    return i < source.length() && source.charAt(i) >= '0' && source.charAt(i) <= '9';
  }

  private void string(char quote) {
    int i = position + 1;
    while (i < source.length() && source.charAt(i) != quote) {
      i += source.charAt(i) == '\\' ? 2 : 1;
    }
    if (i >= source.length()) {
      throw new TemplateException("a string is not closed", line);
    }
    String text = PyText.unescape(source.substring(position + 1, i), line);
    add(Kind.STRING, text, i + 1);
  }
}

package io.tercel.server.text.jinja;

import java.math.BigDecimal;
import java.util.List;
import java.util.Map;

/** Python's text forms: {@code str()} and {@code repr()} of values, whitespace, string literals. */
final class PyText {
  private static final int MAX_NESTING = 200;

  private PyText() {}

  /** What {@code {{ value }}} prints. */
  static String str(Object value, Budget budget) {
    return value instanceof String text ? text : repr(value, budget);
  }

  static String repr(Object value, Budget budget) {
    StringBuilder out = new StringBuilder();
    repr(value, out, 0, budget);
    return out.toString();
  }

  private static void repr(Object value, StringBuilder out, int depth, Budget budget) {
    budget.step();
    if (depth > MAX_NESTING) {
      throw TemplateException.of("a value is nested more than " + MAX_NESTING + " deep");
    }
    switch (value) {
      case None none -> out.append("None");
      case Boolean flag -> out.append(flag ? "True" : "False");
      case Undefined undefined -> {}
      case String text -> {
        budget.work(text.length());
        quote(text, out);
      }
      case Double number -> out.append(floatRepr(number));
      case Number number -> out.append(number);
      case Tuple tuple -> {
        out.append('(');
        items(tuple.items(), out, depth, budget);
        out.append(tuple.items().size() == 1 ? ",)" : ")");
      }
      case List<?> list -> {
        out.append('[');
        items(list, out, depth, budget);
        out.append(']');
      }
      case Map<?, ?> map -> {
        String separator = "{";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
          out.append(separator);
          repr(entry.getKey(), out, depth + 1, budget);
          out.append(": ");
          repr(entry.getValue(), out, depth + 1, budget);
          separator = ", ";
        }
        out.append(map.isEmpty() ? "{}" : "}");
      }
      default -> throw TemplateException.of("a " + Values.typeName(value) + " cannot be printed");
    }
  }

  private static void items(List<?> items, StringBuilder out, int depth, Budget budget) {
    String separator = "";
    for (Object item : items) {
      out.append(separator);
      repr(item, out, depth + 1, budget);
      separator = ", ";
    }
  }

  private static void quote(String text, StringBuilder out) {
    char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
    out.append(quote);
    text.codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                  if (c == quote) {
                    out.append('\\').append(quote);
                  } else if (isPrintable(c)) {
                    out.appendCodePoint(c);
                  } else if (c < 0x100) {
                    out.append(String.format("\\x%02x", c));
                  } else {
                    out.append(
                        c < 0x10000 ? String.format("\\u%04x", c) : String.format("\\U%08x", c));
                  }
                }
              }
            });
    out.append(quote);
  }

  private static boolean isPrintable(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      case Character.SPACE_SEPARATOR -> c == ' ';
      default -> true;
    };
  }

  /** Python's repr of a float: shortest digits, exponent below 1e-4 and from 1e16. */
  static String floatRepr(double value) {
    if (Double.isNaN(value)) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    if (value == 0) {
      return 1 / value < 0 ? "-0.0" : "0.0";
    }
    BigDecimal shortest = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    int exponent = shortest.precision() - shortest.scale() - 1;
    if (exponent >= -4 && exponent < 16) {
      String plain = shortest.toPlainString();
      return plain.indexOf('.') < 0 ? plain + ".0" : plain;
    }
    String digits = shortest.unscaledValue().abs().toString();
    String mantissa = digits.length() == 1 ? digits : digits.charAt(0) + "." + digits.substring(1);
    return (value < 0 ? "-" : "")
        + mantissa
        + (exponent < 0 ? "e-" : "e+")
        + (Math.abs(exponent) < 10 ? "0" : "")
        + Math.abs(exponent);
  }

  /** Python's {@code str.isspace} of one character. */
  static boolean isSpace(int c) {
    return (c >= 9 && c <= 13)
        || (c >= 0x1c && c <= 0x20)
        || c == 0x85
        || c == 0xa0
        || (c > 0xa0 && Character.isSpaceChar(c));
  }

  static String strip(String text, boolean left, boolean right) {
    int start = 0;
    int end = text.length();
    while (left && start < end && isSpace(text.charAt(start))) {
      start++;
    }
    while (right && end > start && isSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(start, end);
  }

  /** Strips the given code points at the chosen ends. */
  static String strip(String text, String characters, boolean left, boolean right) {
    int start = 0;
    int end = text.length();
    while (left && start < end && characters.indexOf(text.codePointAt(start)) >= 0) {
      start += Character.charCount(text.codePointAt(start));
    }
    while (right && end > start && characters.indexOf(text.codePointBefore(end)) >= 0) {
      end -= Character.charCount(text.codePointBefore(end));
    }
    return text.substring(start, end);
  }

  /** A string literal's value; unknown escapes stay as written, as in Python. */
  static String unescape(String literal, int line) {
    if (literal.indexOf('\\') < 0) {
      return literal;
    }
    StringBuilder out = new StringBuilder();
    int i = 0;
    while (i < literal.length()) {
      char c = literal.charAt(i++);
      if (c != '\\' || i >= literal.length()) {
        out.append(c);
        continue;
      }
      char escape = literal.charAt(i++);
      int simple = "\\'\"abfnrtv".indexOf(escape);
      if (simple >= 0) {
        out.append("\\'\"\u0007\b\f\n\r\t\u000b".charAt(simple));
      } else if (escape == 'x' || escape == 'u' || escape == 'U') {
        int length = escape == 'x' ? 2 : escape == 'u' ? 4 : 8;
        out.appendCodePoint(hex(literal, i, length, line));
        i += length;
      } else if (escape >= '0' && escape <= '7') {
        int end = i;
        while (end < literal.length()
            && end < i + 2
            && "01234567".indexOf(literal.charAt(end)) >= 0) {
          end++;
        }
        out.append((char) Integer.parseInt(literal.substring(i - 1, end), 8));
        i = end;
      } else if (escape != '\n') {
        out.append('\\').append(escape);
      }
    }
    return out.toString();
  }

  private static int hex(String literal, int at, int length, int line) {
    try {
      int code = Integer.parseInt(literal.substring(at, at + length), 16);
      if (Character.isValidCodePoint(code)) {
        return code;
      }
    } catch (NumberFormatException | IndexOutOfBoundsException e) {
      // Said below, for all three ways to be wrong.
    }
    throw new TemplateException("a string has an escape that is not a character", line);
  }
}

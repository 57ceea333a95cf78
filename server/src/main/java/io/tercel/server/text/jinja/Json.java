package io.tercel.server.text.jinja;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Python's {@code json.dumps}, as Hugging Face's tojson filter calls it: ensure_ascii off, {@code
 * ", "} and {@code ": "} between items, nothing escaped for HTML.
 */
final class Json {
  private static final int MAX_NESTING = 200;

  private final StringBuilder out = new StringBuilder();
  private final boolean ensureAscii;
  private final boolean sortKeys;
  private final @Nullable String indent;
  private final String itemSeparator;
  private final String keySeparator;
  private final Budget budget;

  private Json(List<Object> options, Budget budget) {
    this.ensureAscii = Values.truthy(options.get(0));
    Object indentation = options.get(1);
    this.indent =
        switch (indentation) {
          case None none -> null;
          case String text -> text;
          default -> " ".repeat(Math.clamp(Values.integer(indentation, "indent"), 0, 64));
        };
    Object separators = options.get(2);
    if (separators == None.NONE) {
      this.itemSeparator = indent == null ? ", " : ",";
      this.keySeparator = ": ";
    } else {
      List<Object> pair = Values.items(separators, budget);
      if (pair.size() != 2) {
        throw TemplateException.of("tojson's separators are not a pair");
      }
      this.itemSeparator = Values.string(pair.get(0), "a separator");
      this.keySeparator = Values.string(pair.get(1), "a separator");
    }
    this.sortKeys = Values.truthy(options.get(3));
    this.budget = budget;
  }

  static String dumps(Object value, Args args, Budget budget) {
    List<Object> options =
        args.bind(
            "tojson", 0, List.of("ensure_ascii", "indent", "separators", "sort_keys"), None.NONE);
    Json json = new Json(options, budget);
    json.write(value, 0);
    return json.out.toString();
  }

  private void write(Object value, int depth) {
    budget.step();
    if (depth > MAX_NESTING) {
      throw TemplateException.of("tojson: a value is nested more than " + MAX_NESTING + " deep");
    }
    switch (value) {
      case String text -> string(text);
      case None none -> out.append("null");
      case Boolean flag -> out.append(flag);
      case Double number -> out.append(number(number));
      case Number number -> out.append(number);
      case Tuple(List<Object> items) -> list(items, depth);
      case List<?> items -> list(Values.cast(items), depth);
      case Map<?, ?> map -> dict(map, depth);
      default -> throw TemplateException.of("tojson: a " + Values.typeName(value) + " is not JSON");
    }
  }

  private static String number(double value) {
    if (Double.isNaN(value)) {
      return "NaN";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "Infinity" : "-Infinity";
    }
    return PyText.floatRepr(value);
  }

  private void list(List<Object> items, int depth) {
    out.append('[');
    boolean first = true;
    for (Object item : items) {
      between(first, depth + 1);
      first = false;
      write(item, depth + 1);
    }
    close(']', first, depth);
  }

  private void dict(Map<?, ?> map, int depth) {
    List<Map.Entry<?, ?>> entries = new ArrayList<>(map.entrySet());
    if (sortKeys) {
      entries.sort(
          Comparator.comparing(
              entry -> (Object) entry.getKey(), (a, b) -> Operators.order(a, b, budget)));
    }
    out.append('{');
    boolean first = true;
    for (Map.Entry<?, ?> entry : entries) {
      between(first, depth + 1);
      first = false;
      string(key(entry.getKey()));
      out.append(keySeparator);
      write(entry.getValue(), depth + 1);
    }
    close('}', first, depth);
  }

  private static String key(Object key) {
    return switch (key) {
      case String text -> text;
      case Boolean flag -> flag.toString();
      case None none -> "null";
      case Double number -> number(number);
      case Number number -> number.toString();
      default ->
          throw TemplateException.of("tojson: a " + Values.typeName(key) + " cannot be a key");
    };
  }

  private void between(boolean first, int depth) {
    if (!first) {
      out.append(itemSeparator);
    }
    newline(depth);
  }

  private void close(char bracket, boolean empty, int depth) {
    if (!empty) {
      newline(depth);
    }
    out.append(bracket);
  }

  private void newline(int depth) {
    if (indent != null) {
      budget.work((long) indent.length() * depth);
      out.append('\n').repeat(indent, depth);
    }
  }

  private void string(String text) {
    budget.work(text.length());
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        default -> {
          if (c < 0x20 || (ensureAscii && c > 0x7e)) {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}

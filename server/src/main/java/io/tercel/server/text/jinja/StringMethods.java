package io.tercel.server.text.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Python's methods of {@code str}. */
final class StringMethods {
  private StringMethods() {}

  static @Nullable Callable find(String text, String name, Budget budget) {
    budget.work(text.length() / 8 + 1);
    return switch (name) {
      case "strip" -> args -> strip(text, args, name, true, true);
      case "lstrip" -> args -> strip(text, args, name, true, false);
      case "rstrip" -> args -> strip(text, args, name, false, true);
      case "startswith" -> args -> affix(text, args, name, true);
      case "endswith" -> args -> affix(text, args, name, false);
      case "upper" -> args -> none(args, name, text.toUpperCase(Locale.ROOT));
      case "lower" -> args -> none(args, name, text.toLowerCase(Locale.ROOT));
      case "title" -> args -> none(args, name, title(text));
      case "capitalize" -> args -> none(args, name, capitalize(text));
      case "isspace" ->
          args -> none(args, name, !text.isEmpty() && text.codePoints().allMatch(PyText::isSpace));
      case "isdigit" ->
          args ->
              none(args, name, !text.isEmpty() && text.codePoints().allMatch(Character::isDigit));
      case "isalpha" ->
          args ->
              none(args, name, !text.isEmpty() && text.codePoints().allMatch(Character::isLetter));
      case "split" -> args -> split(text, args, false, budget);
      case "rsplit" -> args -> split(text, args, true, budget);
      case "splitlines" -> args -> splitLines(text, args, budget);
      case "replace" -> args -> replace(text, args, budget);
      case "find" -> args -> find(text, args, name);
      case "rfind" -> args -> find(text, args, name);
      case "count" -> args -> count(text, args);
      case "join" ->
          args -> {
            Object items = args.bind("join()", 1, List.of("iterable"), None.NONE).get(0);
            return join(text, Values.items(Undefined.require(items), budget), budget);
          };
      case "format" -> args -> Formatting.format(text, args, budget);
      case "removeprefix" ->
          args -> {
            String prefix = one(args, name);
            return text.startsWith(prefix) ? text.substring(prefix.length()) : text;
          };
      case "removesuffix" ->
          args -> {
            String suffix = one(args, name);
            return !suffix.isEmpty() && text.endsWith(suffix)
                ? text.substring(0, text.length() - suffix.length())
                : text;
          };
      default -> null;
    };
  }

  private static Object none(Args args, String name, Object result) {
    args.atMost(name + "()", 0);
    return result;
  }

  private static String one(Args args, String name) {
    return Values.string(
        args.bind(name + "()", 1, List.of("text"), None.NONE).get(0), name + "()'s argument");
  }

  private static Object strip(String text, Args args, String name, boolean left, boolean right) {
    Object characters = args.bind(name + "()", 0, List.of("chars"), None.NONE).get(0);
    return characters == None.NONE
        ? PyText.strip(text, left, right)
        : PyText.strip(text, Values.string(characters, name + "()'s argument"), left, right);
  }

  private static Object affix(String text, Args args, String name, boolean start) {
    Object given = args.bind(name + "()", 1, List.of("affix"), None.NONE).get(0);
    List<Object> affixes = given instanceof Tuple(List<Object> items) ? items : List.of(given);
    for (Object item : affixes) {
      String affix = Values.string(item, name + "()'s argument");
      if (start ? text.startsWith(affix) : text.endsWith(affix)) {
        return true;
      }
    }
    return false;
  }

  static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = text.offsetByCodePoints(0, 1);
    return text.substring(0, first).toUpperCase(Locale.ROOT)
        + text.substring(first).toLowerCase(Locale.ROOT);
  }

  /** Python's str.title: a capital after every character that is not a letter. */
  static String title(String text) {
    StringBuilder out = new StringBuilder(text.length());
    boolean inWord = false;
    for (int c : text.codePoints().toArray()) {
      out.appendCodePoint(inWord ? Character.toLowerCase(c) : Character.toTitleCase(c));
      inWord = Character.isLetter(c);
    }
    return out.toString();
  }

  private static Object split(String text, Args args, boolean fromRight, Budget budget) {
    List<Object> bound = args.bind("split()", 0, List.of("sep", "maxsplit"), None.NONE);
    long limit = bound.get(1) == None.NONE ? -1 : Values.integer(bound.get(1), "maxsplit");
    limit = limit < 0 ? Long.MAX_VALUE : limit;
    budget.work(text.length());
    if (bound.get(0) == None.NONE) {
      return splitWhitespace(text, limit, fromRight);
    }
    String separator = Values.string(bound.get(0), "split()'s separator");
    if (separator.isEmpty()) {
      throw TemplateException.of("split(): the separator is empty");
    }
    List<Object> parts = new ArrayList<>();
    if (fromRight) {
      int end = text.length();
      for (int i = text.lastIndexOf(separator); i >= 0 && parts.size() < limit; ) {
        parts.add(text.substring(i + separator.length(), end));
        end = i;
        i = i < separator.length() ? -1 : text.lastIndexOf(separator, i - separator.length());
      }
      parts.add(text.substring(0, end));
      Collections.reverse(parts);
      return parts;
    }
    int start = 0;
    for (int i = text.indexOf(separator); i >= 0 && parts.size() < limit; ) {
      parts.add(text.substring(start, i));
      start = i + separator.length();
      i = text.indexOf(separator, start);
    }
    parts.add(text.substring(start));
    return parts;
  }

  private static List<Object> splitWhitespace(String text, long limit, boolean fromRight) {
    List<Object> parts = new ArrayList<>();
    // What is left when no more is split keeps the blanks at its far end, as in Python.
    String rest = PyText.strip(text, !fromRight, fromRight);
    while (!rest.isEmpty() && parts.size() < limit) {
      int cut = fromRight ? lastSpace(rest) : firstSpace(rest);
      if (cut < 0) {
        break;
      }
      parts.add(fromRight ? rest.substring(cut + 1) : rest.substring(0, cut));
      rest =
          fromRight
              ? PyText.strip(rest.substring(0, cut), false, true)
              : PyText.strip(rest.substring(cut + 1), true, false);
    }
    if (parts.size() < limit) {
      rest = PyText.strip(rest, true, true);
    }
    if (!rest.isEmpty()) {
      parts.add(rest);
    }
    if (fromRight) {
      Collections.reverse(parts);
    }
    return parts;
  }

  private static int firstSpace(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (PyText.isSpace(text.charAt(i))) {
        return i;
      }
    }
    return -1;
  }

  private static int lastSpace(String text) {
    for (int i = text.length() - 1; i >= 0; i--) {
      if (PyText.isSpace(text.charAt(i))) {
        return i;
      }
    }
    return -1;
  }

  private static Object splitLines(String text, Args args, Budget budget) {
    args.atMost("splitlines()", 0);
    budget.work(text.length());
    List<Object> lines =
        new ArrayList<>(
            List.of(text.split("\\r\\n|[\\n\\r\\x0b\\f\\x1c-\\x1e\\x85\\u2028\\u2029]", -1)));
    if (lines.getLast().equals("")) {
      lines.removeLast();
    }
    return lines;
  }

  private static Object replace(String text, Args args, Budget budget) {
    List<Object> bound = args.bind("replace()", 2, List.of("old", "new", "count"), -1L);
    return replace(
        text,
        Values.string(bound.get(0), "replace()'s first argument"),
        Values.string(bound.get(1), "replace()'s second argument"),
        Values.integer(bound.get(2), "replace()'s count"),
        budget);
  }

  /** Replaces the first {@code count} occurrences, all where it is negative. */
  static String replace(String text, String old, String with, long count, Budget budget) {
    budget.work(text.length());
    StringBuilder out = new StringBuilder();
    long left = count < 0 ? Long.MAX_VALUE : count;
    int start = 0;
    int i = text.indexOf(old);
    while (i >= 0 && left-- > 0) {
      budget.work(with.length() + 1L);
      out.append(text, start, i).append(with);
      start = i + old.length();
      if (old.isEmpty()) {
        if (i >= text.length()) {
          return out.toString();
        }
        int next = text.offsetByCodePoints(i, 1);
        out.append(text, i, next);
        start = next;
        i = next;
      } else {
        i = text.indexOf(old, start);
      }
    }
    return out.append(text, start, text.length()).toString();
  }

  private static Object find(String text, Args args, String name) {
    String wanted = one(args, name);
    int at = name.equals("find") ? text.indexOf(wanted) : text.lastIndexOf(wanted);
    return at < 0 ? -1L : (long) text.codePointCount(0, at);
  }

  private static Object count(String text, Args args) {
    String wanted = one(args, "count");
    if (wanted.isEmpty()) {
      return text.codePointCount(0, text.length()) + 1L;
    }
    long found = 0;
    for (int i = text.indexOf(wanted); i >= 0; i = text.indexOf(wanted, i + wanted.length())) {
      found++;
    }
    return found;
  }

  /** str.join: the items must be strings. */
  static String join(String separator, List<Object> items, Budget budget) {
    StringBuilder out = new StringBuilder();
    String between = "";
    for (Object item : items) {
      String part = Values.string(item, "an item of join()");
      budget.work((long) part.length() + between.length());
      out.append(between).append(part);
      between = separator;
    }
    return out.toString();
  }
}

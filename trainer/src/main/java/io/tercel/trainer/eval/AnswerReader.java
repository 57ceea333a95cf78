package io.tercel.trainer.eval;

import io.tercel.trainer.eval.AnswerValue.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads an answer's text as a value: a number, several values, or text. */
final class AnswerReader {
  private static final int MAX_LENGTH = 4000;
  private static final int MAX_ITEMS = 200;
  private static final Pattern COMMA = Pattern.compile("[,;]");
  private static final Pattern LIST_SEPARATOR =
      Pattern.compile(
          "\\s*(?:[,;]\\s*(?:and |or )?|\\\\text\\s*\\{\\s*(?:,\\s*)?(?:and|or)\\s*\\}"
              + "|(?<= )(?:and|or) )\\s*");
  private static final Pattern UNION = Pattern.compile("\\\\cup ");
  private static final Pattern THOUSANDS =
      Pattern.compile("[^,\\d]*\\d{1,3}(?:,\\d{3})+(?:\\.\\d+)?(?![,\\d])[^,;]*");
  private static final Pattern NAMED =
      Pattern.compile(
          "(?:\\([A-Za-z](?:, ?[A-Za-z])+\\)|(?:[A-Za-z]|\\\\theta|\\\\alpha)"
              + "(?:_\\{?\\w+\\}?)?(?:\\([A-Za-z]\\))?)\\s*(?:=|\\\\in(?![a-z]))"
              + "\\s*(.+)",
          Pattern.DOTALL);
  private static final Pattern SUM =
      Pattern.compile("[^A-Za-z=<>]*(?:\\\\frac[^A-Za-z=<>]*)?=([^=]+)");
  private static final Pattern BRACKETED =
      Pattern.compile("(\\\\\\{|[(\\[])(.*)(\\\\\\}|[)\\]])", Pattern.DOTALL);

  private static final Pattern MATRIX =
      Pattern.compile("\\\\begin\\s*\\{([pb]?matrix)\\}(.*)\\\\end\\s*\\{\\1\\}", Pattern.DOTALL);
  private static final Pattern ROW = Pattern.compile("\\\\cr ");
  private static final Pattern CELL = Pattern.compile("&");
  private static final Pattern IMAGINARY = Pattern.compile("(?<![A-Za-z\\\\])i(?![A-Za-z])");

  private AnswerReader() {}

  static AnswerValue read(String raw) {
    String text = AnswerText.clean(raw);
    if (text.length() > MAX_LENGTH) {
      return new AnswerValue.Text(text);
    }
    return value(text, true);
  }

  private static AnswerValue value(String text, boolean lists) {
    Matcher named = NAMED.matcher(text);
    Matcher sum = SUM.matcher(text);
    boolean oneItem = AnswerText.split(text, LIST_SEPARATOR).size() == 1;
    String rest =
        named.matches() && (oneItem || !named.group(1).contains("="))
            ? named.group(1).strip()
            : sum.matches() ? sum.group(1).strip() : text;
    if (lists) {
      Optional<AnswerValue> several = several(rest);
      if (several.isPresent()) {
        return several.get();
      }
    }
    Optional<AnswerValue> number = number(rest).or(() -> complex(rest));
    return number.orElseGet(() -> new AnswerValue.Text(AnswerText.normal(rest)));
  }

  private static Optional<AnswerValue> several(String text) {
    Matcher matrix = MATRIX.matcher(text);
    if (matrix.matches()) {
      return Optional.of(matrix(matrix.group(2)));
    }
    List<String> union = AnswerText.split(text, UNION);
    if (union.size() > 1) {
      return Optional.of(items(Kind.UNION, "", union));
    }
    Optional<AnswerValue> bracketed = bracketed(text);
    if (bracketed.isPresent()) {
      return bracketed;
    }
    if (!THOUSANDS.matcher(text).matches()) {
      List<String> list = AnswerText.split(text, LIST_SEPARATOR);
      if (list.size() > 1) {
        return Optional.of(items(Kind.LIST, "", list));
      }
    }
    int plusMinus = text.indexOf("\\pm");
    if (plusMinus >= 0) {
      String before = text.substring(0, plusMinus);
      String after = text.substring(plusMinus + 3);
      Optional<AnswerValue> plus = number(before + "+" + after);
      Optional<AnswerValue> minus = number(before + "-" + after);
      if (plus.isPresent() && minus.isPresent()) {
        return Optional.of(
            new AnswerValue.Several(Kind.LIST, "", List.of(plus.get(), minus.get())));
      }
    }
    return Optional.empty();
  }

  private static Optional<AnswerValue> bracketed(String text) {
    Matcher matcher = BRACKETED.matcher(text);
    if (!matcher.matches() || !closesAtEnd(text)) {
      return Optional.empty();
    }
    boolean braces = matcher.group(1).equals("\\{") && matcher.group(3).equals("\\}");
    String inside = matcher.group(2).strip();
    if (braces && inside.isEmpty()) {
      return Optional.of(new AnswerValue.Several(Kind.SET, "", List.of()));
    }
    List<String> parts = AnswerText.split(inside, COMMA);
    if (parts.size() == 1 && !braces) {
      return Optional.empty();
    }
    String brackets = matcher.group(1) + matcher.group(3);
    Kind kind = braces ? Kind.SET : brackets.equals("()") ? Kind.TUPLE : Kind.INTERVAL;
    return Optional.of(items(kind, brackets, parts));
  }

  /** Whether the first bracket is closed by the last, as in (1, 2) and not in (1)(2). */
  private static boolean closesAtEnd(String text) {
    int depth = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if ("([{".indexOf(c) >= 0) {
        depth++;
      } else if (")]}".indexOf(c) >= 0) {
        depth--;
        if (depth == 0) {
          return i == text.length() - 1;
        }
      }
    }
    return false;
  }

  private static AnswerValue items(Kind kind, String brackets, List<String> parts) {
    if (parts.size() > MAX_ITEMS) {
      return new AnswerValue.Text(brackets + parts);
    }
    List<AnswerValue> items = new ArrayList<>();
    for (String part : parts) {
      String item = part.strip();
      boolean nested = item.startsWith("(") || item.startsWith("[") || item.startsWith("\\{");
      items.add(nested ? bracketed(item).orElseGet(() -> value(item, false)) : value(item, false));
    }
    return new AnswerValue.Several(kind, brackets, List.copyOf(items));
  }

  /** Rows of cells, whose brackets are a matter of taste; blank rows are ends of lines. */
  private static AnswerValue matrix(String text) {
    List<AnswerValue> rows = new ArrayList<>();
    for (String row : AnswerText.split(text, ROW)) {
      if (!row.isBlank()) {
        rows.add(items(Kind.TUPLE, "", AnswerText.split(row, CELL)));
      }
    }
    return rows.size() > MAX_ITEMS
        ? new AnswerValue.Text(AnswerText.normal(text))
        : new AnswerValue.Several(Kind.MATRIX, "", List.copyOf(rows));
  }

  /** An expression that is linear in i: its values at 0, 1 and 2 say so, and what it is. */
  private static Optional<AnswerValue> complex(String text) {
    if (!IMAGINARY.matcher(text).find()) {
      return Optional.empty();
    }
    String[] at = new String[3];
    for (int i = 0; i < at.length; i++) {
      at[i] = "(" + IMAGINARY.matcher(text).replaceAll("(" + i + ")") + ")";
    }
    Optional<Quantity> real = ExpressionParser.evaluate(at[0]);
    Optional<Quantity> imaginary = ExpressionParser.evaluate(at[1] + "-" + at[0]);
    Optional<Quantity> again = ExpressionParser.evaluate(at[2] + "-" + at[1]);
    if (real.isEmpty() || imaginary.isEmpty() || again.isEmpty()) {
      return Optional.empty();
    }
    return imaginary.get().same(again.get())
        ? Optional.of(
            new AnswerValue.Several(
                Kind.COMPLEX,
                "",
                List.of(
                    new AnswerValue.Number(real.get(), "", false),
                    new AnswerValue.Number(imaginary.get(), "", false))))
        : Optional.empty();
  }

  private static Optional<AnswerValue> number(String text) {
    Optional<Quantity> whole = ExpressionParser.evaluate(text);
    if (whole.isPresent()) {
      return Optional.of(new AnswerValue.Number(whole.get(), "", false));
    }
    String part = text.replaceAll("(?:%|\\bpercent|\\\\text\\s*\\{\\s*percent\\s*\\})$", "");
    if (part.length() < text.length()) {
      return ExpressionParser.evaluate(part)
          .map(quantity -> new AnswerValue.Number(quantity, "", true));
    }
    Optional<AnswerUnit> unit = AnswerUnit.cut(text);
    return unit.flatMap(
        found ->
            ExpressionParser.evaluate(found.rest())
                .map(quantity -> new AnswerValue.Number(quantity, found.name(), false)));
  }
}

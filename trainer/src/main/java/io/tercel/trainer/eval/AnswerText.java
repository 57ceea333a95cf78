package io.tercel.trainer.eval;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An answer's text, freed of what only sets its type: delimiters, spacing, fonts, synonyms. */
final class AnswerText {
  private record Rule(Pattern pattern, String replacement) {}

  private static final List<Rule> RULES =
      List.of(
          rule("[\\u2212\\u2013]", "-"),
          rule("^\\s*(?:\\\\approx(?![a-zA-Z])|\\\\simeq(?![a-zA-Z])|\\u2248)", ""),
          rule("\\\\\\\\", "\\\\cr "),
          rule("\\u00d7|\\\\times(?![a-zA-Z])|\\\\cdot(?![a-zA-Z])|\\u00b7", "*"),
          rule("\\u00f7|\\\\div(?![a-zA-Z])", "/"),
          rule("\\u03c0", "\\\\pi "),
          rule("\\u221e|(?<![a-zA-Z\\\\])infinity(?![a-zA-Z])", "\\\\infty "),
          rule("\\u221a", "\\\\sqrt "),
          rule("\\u222a|\\\\cup(?![a-zA-Z])", "\\\\cup "),
          rule("\\u00b1|\\\\pm(?![a-zA-Z])", "\\\\pm "),
          rule("\\u2205|\\\\emptyset(?![a-zA-Z])|\\\\varnothing(?![a-zA-Z])", "\\\\{\\\\}"),
          rule("\\\\lbrace(?![a-zA-Z])", "\\\\{"),
          rule("\\\\rbrace(?![a-zA-Z])", "\\\\}"),
          rule("\\\\l?dots(?![a-zA-Z])", "..."),
          rule("\\\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits)(?![a-zA-Z])", ""),
          rule("(?<=\\d)\\{,\\}(?=\\d)", ""),
          rule("(?<=\\d)(?:\\\\[,!;: ]|,\\\\!)(?=\\d{3}(?!\\d))", ""),
          rule("\\\\[!,;: ]|\\\\q?quad(?![a-zA-Z])|~|\\u00a0|\\u202f", " "),
          rule("\\\\[dtc]frac(?![a-zA-Z])", "\\\\frac"),
          rule(
              "\\\\(?:mathrm|mathbf|mathit|mathsf|operatorname|textbf|textit|textrm|textsf|mbox)"
                  + "(?=\\s*\\{)",
              "\\\\text"),
          rule("\\^\\s*(?:\\{\\s*\\\\circ\\s*\\}|\\\\circ(?![a-zA-Z]))|\\u00b0", " degrees"),
          rule("\\\\degree(?![a-zA-Z])", " degrees"),
          rule("\\\\%", "%"),
          rule("\\\\\\$", "\\$"),
          rule("\\s+", " "));

  /** A sentence's; an exclamation mark behind a number or a bracket is a factorial. */
  private static final Pattern END = Pattern.compile("(?:(?<!\\\\)[.,;:]|(?<=[A-Za-z])!)+$");

  private static final String[][] DELIMITERS = {
    {"$$", "$$"}, {"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}, {"**", "**"}, {"`", "`"}
  };

  private AnswerText() {}

  private static Rule rule(String pattern, String replacement) {
    return new Rule(Pattern.compile(pattern), replacement);
  }

  /** The text in the one form that the reader knows. */
  static String clean(String raw) {
    String text = peel(raw.strip());
    for (Rule rule : RULES) {
      text = rule.pattern.matcher(text).replaceAll(rule.replacement);
    }
    return peel(text.strip());
  }

  /** Takes off delimiters around the whole, and a sentence's end. */
  private static String peel(String text) {
    String rest = text;
    boolean changed = true;
    while (changed && !rest.isEmpty()) {
      String before = rest;
      rest = END.matcher(rest).replaceAll("").strip();
      for (String[] pair : DELIMITERS) {
        if (rest.length() > pair[0].length() + pair[1].length()
            && rest.startsWith(pair[0])
            && rest.endsWith(pair[1])
            && !(pair[0].equals("$") && rest.endsWith("\\$"))) {
          rest = rest.substring(pair[0].length(), rest.length() - pair[1].length()).strip();
        }
      }
      changed = !rest.equals(before);
    }
    return rest;
  }

  /** What is compared when nothing else is: without blanks and text marks; case counts in maths. */
  static String normal(String cleaned) {
    String text = unwrapped(cleaned, "").replaceAll("\\s", "").replaceAll("[.,;:]+$", "");
    text = text.replaceAll("(?<=\\d)([ap])\\.m$", "$1m"); // of a time
    if (text.matches("\\([A-Za-z]\\)|[A-Za-z][).:]")) {
      text = text.replaceAll("[().:]", "");
    }
    return text.matches("[\\p{L}'’.,?!_-]*")
        ? text.toLowerCase(Locale.ROOT).replaceAll("[.,?!'’]", "")
        : text.replaceAll("(?<=[_^])\\{(\\w)\\}", "$1");
  }

  /** Without text marks, behind each of which something may be put. */
  static String unwrapped(String cleaned, String behind) {
    return cleaned.replaceAll("\\\\text\\s*\\{([^{}]*)\\}", "$1" + behind);
  }

  /**
   * Splits at a separator that is inside of no bracket.
   *
   * @param separator a pattern that matches at the separator's beginning
   */
  static List<String> split(String text, Pattern separator) {
    List<String> parts = new ArrayList<>();
    Matcher matcher = separator.matcher(text);
    int depth = 0;
    int start = 0;
    int i = 0;
    while (i < text.length()) {
      char c = text.charAt(i);
      if (depth == 0 && matcher.region(i, text.length()).lookingAt()) {
        parts.add(text.substring(start, i));
        i = matcher.end();
        start = i;
        continue;
      }
      if ("([{".indexOf(c) >= 0) {
        depth++;
      } else if (")]}".indexOf(c) >= 0) {
        depth = Math.max(0, depth - 1);
      }
      i++;
    }
    parts.add(text.substring(start));
    return parts;
  }
}

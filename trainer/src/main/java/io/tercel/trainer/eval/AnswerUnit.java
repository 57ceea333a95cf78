package io.tercel.trainer.eval;

import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The unit at an answer's end or beginning, and what is left without it. A word counts as a unit
 * after a blank or inside {@code \text}; letters that touch the number, or stand alone, only if
 * they are known, since {@code 2x} is no two.
 */
record AnswerUnit(String name, String rest) {
  private static final int MAX_LENGTH = 60;
  private static final Set<String> KNOWN =
      Set.of(
          "mm", "cm", "dm", "m", "km", "in", "ft", "yd", "mi", "g", "mg", "kg", "lb", "oz", "s",
          "ms", "min", "h", "hr", "l", "ml", "mph", "kph", "a", "v", "w", "kw", "j", "n", "k", "c",
          "f", "hz", "pa", "mol", "am", "pm", "eur", "usd");
  private static final Map<String, String> SAME =
      Map.ofEntries(
          Map.entry("centimeter", "cm"),
          Map.entry("centimetre", "cm"),
          Map.entry("millimeter", "mm"),
          Map.entry("meter", "m"),
          Map.entry("metre", "m"),
          Map.entry("kilometer", "km"),
          Map.entry("kilometre", "km"),
          Map.entry("inche", "in"),
          Map.entry("inch", "in"),
          Map.entry("feet", "ft"),
          Map.entry("foot", "ft"),
          Map.entry("yard", "yd"),
          Map.entry("mile", "mi"),
          Map.entry("gram", "g"),
          Map.entry("kilogram", "kg"),
          Map.entry("pound", "lb"),
          Map.entry("ounce", "oz"),
          Map.entry("second", "s"),
          Map.entry("sec", "s"),
          Map.entry("minute", "min"),
          Map.entry("hour", "h"),
          Map.entry("hr", "h"),
          Map.entry("liter", "l"),
          Map.entry("litre", "l"),
          Map.entry("dollar", "$"),
          Map.entry("usd", "$"));
  private static final Pattern POWER = Pattern.compile("\\s*\\^\\s*\\{?\\s*([23])\\s*\\}?$");
  private static final Pattern IN_TEXT =
      Pattern.compile("(.*[\\d})!%.a-zA-Z])\\s*\\\\text\\s*\\{([^{}]*)\\}\\s*", Pattern.DOTALL);
  private static final Pattern WORDS =
      Pattern.compile("(.*[\\d})])(\\s*)([A-Za-z]+(?: [A-Za-z]+){0,4})", Pattern.DOTALL);
  private static final Pattern CURRENCY = Pattern.compile("(-?)\\s*[$€£]\\s*(.*)", Pattern.DOTALL);
  private static final Pattern BASE = Pattern.compile("(\\w+)_\\s*\\{?(\\d{1,2})\\}?");

  /** Cuts the unit off. */
  static Optional<AnswerUnit> cut(String text) {
    Matcher currency = CURRENCY.matcher(text);
    if (currency.matches()) {
      return Optional.of(new AnswerUnit("$", currency.group(1) + currency.group(2)));
    }
    Matcher base = BASE.matcher(text);
    if (base.matches()) {
      return Optional.of(new AnswerUnit("base" + base.group(2), base.group(1)));
    }
    String power = "";
    String body = text;
    Matcher raised = POWER.matcher(text);
    if (raised.find()) {
      power = raised.group(1);
      body = text.substring(0, raised.start());
    }
    Matcher inText = IN_TEXT.matcher(body);
    if (inText.matches() && inText.group(2).length() <= MAX_LENGTH) {
      return Optional.of(new AnswerUnit(normal(inText.group(2), power), inText.group(1).strip()));
    }
    Matcher words = WORDS.matcher(body);
    if (words.matches() && words.group(3).length() <= MAX_LENGTH) {
      String word = words.group(3);
      boolean known = KNOWN.contains(word.toLowerCase(Locale.ROOT));
      boolean apart = !words.group(2).isEmpty() && word.length() > 1;
      if (known && (!words.group(2).isEmpty() || word.length() > 1) || apart) {
        return Optional.of(new AnswerUnit(normal(word, power), words.group(1)));
      }
    }
    return Optional.empty();
  }

  private static String normal(String unit, String power) {
    String raised = power;
    String name = unit.strip().toLowerCase(Locale.ROOT).replaceAll("[.]", "");
    Matcher inner = POWER.matcher(name);
    if (inner.find()) {
      raised = inner.group(1);
      name = name.substring(0, inner.start());
    }
    if (name.matches("(?:square|sq) .*")) {
      raised = "2";
    } else if (name.matches("(?:cubic|cu) .*")) {
      raised = "3";
    }
    name = name.replaceAll("^(?:square|sq|cubic|cu) ", "");
    if (name.length() > 3 && name.endsWith("s")) {
      name = name.substring(0, name.length() - 1);
    }
    return SAME.getOrDefault(name, name) + raised;
  }
}

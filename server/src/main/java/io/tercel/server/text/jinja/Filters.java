package io.tercel.server.text.jinja;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The filters on texts and numbers; those on lists and dicts stand in {@link ListFilters}. */
final class Filters {
  /** A filter of a value with its arguments. */
  interface ValueFilter {
    Object apply(Object value, Args args, Budget budget);
  }

  private static final Pattern NUMBER =
      Pattern.compile("[+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?");
  private static final Pattern TITLE_WORD = Pattern.compile("[^-\\s({\\[<]+");
  private static final Map<String, ValueFilter> FILTERS = new HashMap<>();

  static {
    FILTERS.put("tojson", Json::dumps);
    FILTERS.put("trim", Filters::trim);
    FILTERS.put("length", (value, args, budget) -> Values.length(none("length", args, value)));
    FILTERS.put("count", (value, args, budget) -> Values.length(none("count", args, value)));
    FILTERS.put(
        "upper",
        (value, args, budget) -> text("upper", value, args, budget).toUpperCase(Locale.ROOT));
    FILTERS.put(
        "lower",
        (value, args, budget) -> text("lower", value, args, budget).toLowerCase(Locale.ROOT));
    FILTERS.put("title", (value, args, budget) -> title(text("title", value, args, budget)));
    FILTERS.put(
        "capitalize",
        (value, args, budget) -> StringMethods.capitalize(text("capitalize", value, args, budget)));
    FILTERS.put("string", (value, args, budget) -> text("string", value, args, budget));
    FILTERS.put("safe", (value, args, budget) -> text("safe", value, args, budget));
    FILTERS.put("escape", (value, args, budget) -> escape(text("escape", value, args, budget)));
    FILTERS.put("e", (value, args, budget) -> escape(text("e", value, args, budget)));
    FILTERS.put("default", Filters::fallback);
    FILTERS.put("d", Filters::fallback);
    FILTERS.put("replace", Filters::replace);
    FILTERS.put("int", Filters::toInt);
    FILTERS.put("float", Filters::toFloat);
    FILTERS.put("abs", (value, args, b) -> abs(none("abs", args, value)));
    FILTERS.put("round", Filters::round);
    FILTERS.put("indent", Filters::indent);
    FILTERS.put(
        "format",
        (value, args, budget) ->
            Formatting.percent(Values.text(value, budget), new Tuple(args.positional()), budget));
    FILTERS.putAll(ListFilters.FILTERS);
  }

  private Filters() {}

  static boolean exists(String name) {
    return FILTERS.containsKey(name);
  }

  static Object apply(String name, Object value, Args args, Budget budget) {
    ValueFilter filter = FILTERS.get(name);
    if (filter == null) {
      throw TemplateException.of("no filter named '" + name + "'");
    }
    budget.work(value instanceof String text ? text.length() / 8 + 1 : 1);
    return filter.apply(value, args, budget);
  }

  static Object none(String name, Args args, Object value) {
    args.atMost("the filter '" + name + "'", 0);
    return value;
  }

  private static String text(String name, Object value, Args args, Budget budget) {
    args.atMost("the filter '" + name + "'", 0);
    return Values.text(value, budget);
  }

  private static Object trim(Object value, Args args, Budget budget) {
    Object characters = args.bind("trim", 0, List.of("chars"), None.NONE).get(0);
    return characters == None.NONE
        ? PyText.strip(Values.text(value, budget), true, true)
        : PyText.strip(
            Values.text(value, budget), Values.string(characters, "trim's argument"), true, true);
  }

  /** The filter's title differs from the method's: words start after blanks, hyphens, brackets. */
  private static String title(String text) {
    Matcher words = TITLE_WORD.matcher(text);
    return words.replaceAll(
        word -> Matcher.quoteReplacement(StringMethods.capitalize(word.group())));
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("'", "&#39;")
        .replace("\"", "&#34;");
  }

  private static Object fallback(Object value, Args args, Budget budget) {
    List<Object> bound =
        args.bind("default", 0, List.of("default_value", "boolean"), new Undefined("no default"));
    boolean empty =
        value instanceof Undefined || (Values.truthy(bound.get(1)) && !Values.truthy(value));
    if (!empty) {
      return value;
    }
    return bound.get(0) instanceof Undefined && args.size() == 0 ? "" : bound.get(0);
  }

  private static Object replace(Object value, Args args, Budget budget) {
    List<Object> bound = args.bind("replace", 2, List.of("old", "new", "count"), None.NONE);
    long count = bound.get(2) == None.NONE ? -1 : Values.integer(bound.get(2), "replace's count");
    return StringMethods.replace(
        Values.text(value, budget),
        Values.text(bound.get(0), budget),
        Values.text(bound.get(1), budget),
        count,
        budget);
  }

  private static Object toInt(Object value, Args args, Budget budget) {
    List<Object> bound = args.bind("int", 0, List.of("default", "base"), None.NONE);
    Object fallback = bound.get(0) == None.NONE ? 0L : bound.get(0);
    int base = bound.get(1) == None.NONE ? 10 : Values.smallInteger(bound.get(1), "int's base");
    try {
      return switch (Undefined.require(value)) {
        case Long number -> number;
        case Boolean flag -> flag ? 1L : 0L;
        case Double number when Double.isFinite(number) && Math.abs(number) < 0x1p63 ->
            (long) (double) number;
        case String text -> {
          String digits = PyText.strip(text, true, true).replace("_", "");
          yield integer(digits, base);
        }
        default -> fallback;
      };
    } catch (NumberFormatException e) {
      // what is a fraction in any base is cut
      return value instanceof String text && number(text) instanceof Double fraction
          ? Double.isFinite(fraction) ? (Object) (long) (double) fraction : fallback
          : fallback;
    }
  }

  /** What Python's float makes of a text; null where that raises. Java takes more: 1d, 0x1p3. */
  private static @Nullable Double number(String text) {
    String digits = PyText.strip(text, true, true).replace("_", "");
    if (NUMBER.matcher(digits).matches()) {
      return Double.valueOf(digits);
    }
    String word = digits.toLowerCase(Locale.ROOT);
    return switch (word.startsWith("+") || word.startsWith("-") ? word.substring(1) : word) {
      case "nan" -> Double.NaN;
      case "inf", "infinity" ->
          word.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
      default -> null;
    };
  }

  /** Python's int: the base's own prefix may stand before the digits; base 0 goes by it. */
  private static Long integer(String digits, int base) {
    int sign = digits.startsWith("-") || digits.startsWith("+") ? 1 : 0;
    String prefix = digits.substring(sign, Math.min(sign + 2, digits.length()));
    int named =
        switch (prefix.toLowerCase(Locale.ROOT)) {
          case "0x" -> 16;
          case "0o" -> 8;
          case "0b" -> 2;
          default -> 0;
        };
    boolean prefixed = named != 0 && (base == 0 || base == named);
    String plain = prefixed ? digits.substring(0, sign) + digits.substring(sign + 2) : digits;
    int radix = base == 0 ? prefixed ? named : 10 : base;
    return Long.valueOf(plain, radix);
  }

  private static Object toFloat(Object value, Args args, Budget budget) {
    Object given = args.bind("float", 0, List.of("default"), None.NONE).get(0);
    Object fallback = given == None.NONE ? 0.0 : given;
    return switch (Undefined.require(value)) {
      case Boolean flag -> flag ? 1.0 : 0.0;
      case Number number -> number.doubleValue();
      case String text -> {
        Double number = number(text);
        yield number == null ? fallback : number;
      }
      default -> fallback;
    };
  }

  private static Object abs(Object value) {
    return switch (Undefined.require(value)) {
      case Long number when number > Long.MIN_VALUE -> Math.abs(number);
      case Double number -> Math.abs(number);
      case Boolean flag -> flag ? 1L : 0L;
      default -> throw TemplateException.of("abs does not take a " + Values.typeName(value));
    };
  }

  private static Object round(Object value, Args args, Budget budget) {
    List<Object> bound = args.bind("round", 0, List.of("precision", "method"), None.NONE);
    int precision = bound.get(0) == None.NONE ? 0 : Values.smallInteger(bound.get(0), "precision");
    String method = bound.get(1) == None.NONE ? "common" : Values.string(bound.get(1), "method");
    if (!(Undefined.require(value) instanceof Number number) || Math.abs((long) precision) > 300) {
      throw TemplateException.of("round takes a number and a small precision");
    }
    double x = number.doubleValue();
    double scale = Math.pow(10, precision);
    return switch (method) {
      // Half to even on the exact binary value, as Python's round does.
      case "common" ->
          value instanceof Long || !Double.isFinite(x)
              ? value
              : new BigDecimal(x).setScale(precision, RoundingMode.HALF_EVEN).doubleValue();
      case "ceil" -> Math.ceil(x * scale) / scale;
      case "floor" -> Math.floor(x * scale) / scale;
      default -> throw TemplateException.of("round has no method '" + method + "'");
    };
  }

  private static Object indent(Object value, Args args, Budget budget) {
    List<Object> bound = args.bind("indent", 0, List.of("width", "first", "blank"), None.NONE);
    String pad =
        bound.get(0) instanceof String text
            ? text
            : " "
                .repeat(
                    bound.get(0) == None.NONE
                        ? 4
                        : Math.clamp(Values.integer(bound.get(0), "indent's width"), 0, 1024));
    boolean first = Values.truthy(bound.get(1));
    boolean blank = Values.truthy(bound.get(2));
    String[] lines = Values.text(value, budget).split("\n", -1);
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < lines.length; i++) {
      boolean padded = i == 0 ? first : blank || !lines[i].isEmpty();
      budget.work((long) lines[i].length() + pad.length());
      out.append(i == 0 ? "" : "\n").append(padded ? pad : "").append(lines[i]);
    }
    return out.toString();
  }
}

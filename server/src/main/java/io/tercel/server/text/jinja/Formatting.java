package io.tercel.server.text.jinja;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Python's two ways to fill a string: {@code "%s" % x} and {@code "{}".format(x)}, plain forms. */
final class Formatting {
  private static final Pattern PERCENT =
      Pattern.compile("%(?:(%)|(?:\\.(\\d{1,2}))?([sdifr])|(.|$))");
  private static final Pattern BRACES =
      Pattern.compile("\\{\\{|\\}\\}|\\{([A-Za-z0-9_]*)(?::\\.(\\d{1,2})f)?\\}|[{}]");

  private Formatting() {}

  static String percent(String text, Object values, Budget budget) {
    List<Object> list = values instanceof Tuple(List<Object> items) ? items : List.of(values);
    Matcher matcher = PERCENT.matcher(text);
    StringBuilder out = new StringBuilder();
    int used = 0;
    int copied = 0;
    while (matcher.find()) {
      out.append(text, copied, matcher.start());
      copied = matcher.end();
      if (matcher.group(1) != null) {
        out.append('%');
        continue;
      }
      if (matcher.group(4) != null) {
        throw TemplateException.of("the format '%" + matcher.group(4) + "' is not supported");
      }
      if (used >= list.size()) {
        throw TemplateException.of("a format has more places than values");
      }
      Object value = Undefined.require(list.get(used++));
      String part =
          switch (matcher.group(3)) {
            case "s" -> PyText.str(value, budget);
            case "r" -> PyText.repr(value, budget);
            case "f" -> fixed(value, matcher.group(2) == null ? "6" : matcher.group(2));
            default -> whole(value);
          };
      budget.work(part.length());
      out.append(part);
    }
    // Python lets values that have items of their own stay unused.
    boolean hasItems = values instanceof List<?> || values instanceof Map<?, ?>;
    if (used < list.size() && !(hasItems && used == 0)) {
      throw TemplateException.of("a format has fewer places than values");
    }
    return out.append(text.substring(copied)).toString();
  }

  private static String fixed(Object value, String digits) {
    if (!(value instanceof Number number)) {
      throw TemplateException.of("a number's format got a " + Values.typeName(value));
    }
    double x = number.doubleValue();
    if (!Double.isFinite(x)) {
      return PyText.floatRepr(x);
    }
    // Of the exact binary value, half to even, as in C; Java's own format rounds the shortest form.
    return new BigDecimal(x)
        .setScale(Integer.parseInt(digits), RoundingMode.HALF_EVEN)
        .toPlainString();
  }

  private static String whole(Object value) {
    return switch (value) {
      case Double number -> String.valueOf(number.longValue());
      case Boolean flag -> flag ? "1" : "0";
      case Number number -> number.toString();
      default -> throw TemplateException.of("a number's format got a " + Values.typeName(value));
    };
  }

  static String format(String text, Args args, Budget budget) {
    Matcher matcher = BRACES.matcher(text);
    StringBuilder out = new StringBuilder();
    int automatic = 0;
    int copied = 0;
    while (matcher.find()) {
      out.append(text, copied, matcher.start());
      copied = matcher.end();
      String name = matcher.group(1);
      if (name == null) {
        String brace = matcher.group();
        if (brace.length() != 2) {
          throw TemplateException.of("a format's '" + brace + "' stands alone or is not supported");
        }
        out.append(brace.charAt(0));
        continue;
      }
      Object value;
      if (name.isEmpty() || Character.isDigit(name.charAt(0))) {
        int index = name.isEmpty() ? automatic++ : position(name);
        value = args.get(index, "", new Undefined("a format has more places than values"));
      } else {
        value = args.get(Integer.MAX_VALUE, name, new Undefined("the format lacks '" + name + "'"));
      }
      Undefined.require(value);
      String part =
          matcher.group(2) != null ? fixed(value, matcher.group(2)) : PyText.str(value, budget);
      budget.work(part.length());
      out.append(part);
    }
    return out.append(text.substring(copied)).toString();
  }

  private static int position(String digits) {
    return digits.length() > 4 ? Integer.MAX_VALUE : Integer.parseInt(digits);
  }
}

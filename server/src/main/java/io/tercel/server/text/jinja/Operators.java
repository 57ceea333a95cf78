package io.tercel.server.text.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Python's operators on the interpreter's values. */
final class Operators {
  private static final int MAX_NESTING = 200;

  private Operators() {}

  static Object binary(String operator, Object left, Object right, Budget budget) {
    Undefined.require(left);
    Undefined.require(right);
    if (left instanceof String text && operator.equals("%")) {
      return Formatting.percent(text, right, budget);
    }
    if (operator.equals("+")) {
      Object joined = concatenate(left, right, budget);
      if (joined != null) {
        return joined;
      }
    }
    if (operator.equals("*") && (isSequence(left) || isSequence(right))) {
      return isSequence(left) ? repeat(left, right, budget) : repeat(right, left, budget);
    }
    Object a = left instanceof Boolean flag ? (Object) (flag ? 1L : 0L) : left;
    Object b = right instanceof Boolean flag ? (Object) (flag ? 1L : 0L) : right;
    try {
      if (a instanceof Long x && b instanceof Long y) {
        return integers(operator, x, y);
      }
      if (isNumber(a) && isNumber(b)) {
        return floats(operator, ((Number) a).doubleValue(), ((Number) b).doubleValue());
      }
    } catch (ArithmeticException e) {
      String reason = Objects.toString(e.getMessage(), "");
      throw TemplateException.of(
          reason.contains("zero") ? "division by zero" : "an integer of more than 64 bits");
    }
    throw TemplateException.of(
        "'"
            + operator
            + "' does not take a "
            + Values.typeName(left)
            + " and a "
            + Values.typeName(right));
  }

  private static @Nullable Object concatenate(Object left, Object right, Budget budget) {
    if (left instanceof String a && right instanceof String b) {
      budget.work((long) a.length() + b.length());
      return a + b;
    }
    if (left instanceof List<?> a && right instanceof List<?> b) {
      return joined(Values.cast(a), Values.cast(b), budget);
    }
    if (left instanceof Tuple(List<Object> a) && right instanceof Tuple(List<Object> b)) {
      return new Tuple(joined(a, b, budget));
    }
    return null;
  }

  private static List<Object> joined(List<Object> a, List<Object> b, Budget budget) {
    budget.work((long) a.size() + b.size());
    List<Object> both = new ArrayList<>(a);
    both.addAll(b);
    return both;
  }

  private static boolean isSequence(Object value) {
    return value instanceof String || value instanceof List<?> || value instanceof Tuple;
  }

  private static boolean isNumber(Object value) {
    return value instanceof Number;
  }

  private static Object repeat(Object sequence, Object times, Budget budget) {
    long count = Math.max(0, Values.integer(times, "the count of a repetition"));
    long length = Math.max(1, Values.length(sequence));
    budget.work(count > Long.MAX_VALUE / length / 2 ? Long.MAX_VALUE / 2 : count * length * 2);
    if (sequence instanceof String text) {
      return text.repeat((int) count);
    }
    List<Object> items = Values.items(sequence, budget);
    List<Object> repeated = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      repeated.addAll(items);
    }
    return sequence instanceof Tuple ? new Tuple(repeated) : repeated;
  }

  private static Object integers(String operator, long x, long y) {
    return switch (operator) {
      case "+" -> Math.addExact(x, y);
      case "-" -> Math.subtractExact(x, y);
      case "*" -> Math.multiplyExact(x, y);
      case "//" -> Math.floorDiv(x, nonZero(y));
      case "%" -> Math.floorMod(x, nonZero(y));
      case "/" -> (double) x / nonZero(y);
      case "**" -> power(x, y);
      default -> throw new IllegalStateException(operator);
    };
  }

  private static long nonZero(long divisor) {
    if (divisor == 0) {
      throw new ArithmeticException("zero");
    }
    return divisor;
  }

  private static Object power(long base, long exponent) {
    if (exponent < 0) {
      return Math.pow((double) nonZero(base), (double) exponent);
    }
    if (base == 0 || base == 1) {
      return exponent == 0 ? 1L : base;
    }
    if (base == -1) {
      return exponent % 2 == 0 ? 1L : -1L;
    }
    long result = 1;
    for (long i = 0; i < exponent; i++) {
      result = Math.multiplyExact(result, base);
    }
    return result;
  }

  private static Object floats(String operator, double x, double y) {
    if (y == 0 && (operator.equals("/") || operator.equals("//") || operator.equals("%"))) {
      throw new ArithmeticException("zero");
    }
    return switch (operator) {
      case "+" -> x + y;
      case "-" -> x - y;
      case "*" -> x * y;
      case "/" -> x / y;
      case "//" -> Math.floor(x / y);
      case "%" -> x - y * Math.floor(x / y);
      case "**" -> Math.pow(x, y);
      default -> throw new IllegalStateException(operator);
    };
  }

  static Object sign(boolean negative, Object value) {
    return switch (Undefined.require(value)) {
      case Long number when negative && number > Long.MIN_VALUE -> -number;
      case Double number when negative -> -number;
      case Boolean flag -> negative && flag ? -1L : flag ? 1L : 0L;
      case Number number when !negative -> number;
      case Number number -> throw TemplateException.of("an integer of more than 64 bits");
      default -> throw TemplateException.of("a " + Values.typeName(value) + " has no sign");
    };
  }

  static boolean compare(String operator, Object left, Object right, Budget budget) {
    budget.step();
    return switch (operator) {
      case "==" -> equal(left, right, budget);
      case "!=" -> !equal(left, right, budget);
      case "in" -> contains(right, left, budget);
      case "not in" -> !contains(right, left, budget);
      case "<" -> order(left, right, budget) < 0;
      case "<=" -> order(left, right, budget) <= 0;
      case ">" -> order(left, right, budget) > 0;
      case ">=" -> order(left, right, budget) >= 0;
      default -> throw new IllegalStateException(operator);
    };
  }

  static boolean equal(Object left, Object right, Budget budget) {
    return equal(left, right, 0, budget);
  }

  private static boolean equal(Object left, Object right, int depth, Budget budget) {
    budget.work(left instanceof String text ? text.length() / 16 + 1 : 1);
    budget.step();
    if (depth > MAX_NESTING) {
      throw TemplateException.of("a value is nested more than " + MAX_NESTING + " deep");
    }
    Object a = left instanceof Boolean flag ? (Object) (flag ? 1L : 0L) : left;
    Object b = right instanceof Boolean flag ? (Object) (flag ? 1L : 0L) : right;
    if (a instanceof Number x && b instanceof Number y) {
      return x.getClass() == y.getClass() ? x.equals(y) : x.doubleValue() == y.doubleValue();
    }
    if (a instanceof Tuple(List<Object> x) && b instanceof Tuple(List<Object> y)) {
      return equalItems(x, y, depth, budget);
    }
    if (a instanceof List<?> x && b instanceof List<?> y) {
      return equalItems(Values.cast(x), Values.cast(y), depth, budget);
    }
    if (a instanceof Map<?, ?> x && b instanceof Map<?, ?> y) {
      if (x.size() != y.size()) {
        return false;
      }
      for (Map.Entry<?, ?> entry : x.entrySet()) {
        Object other = y.get(entry.getKey());
        if (other == null || !equal(entry.getValue(), other, depth + 1, budget)) {
          return false;
        }
      }
      return true;
    }
    if (a instanceof Undefined && b instanceof Undefined) {
      return true;
    }
    return a.equals(b); // Strings and None; what else there is has identity.
  }

  private static boolean equalItems(List<Object> x, List<Object> y, int depth, Budget budget) {
    if (x.size() != y.size()) {
      return false;
    }
    for (int i = 0; i < x.size(); i++) {
      if (!equal(x.get(i), y.get(i), depth + 1, budget)) {
        return false;
      }
    }
    return true;
  }

  private static boolean contains(Object container, Object item, Budget budget) {
    return switch (container) {
      case String text -> {
        String part = Values.string(item, "what stands left of 'in' a string");
        budget.work(text.length() >> 4);
        yield text.contains(part);
      }
      case Map<?, ?> map -> map.containsKey(key(item, budget));
      default -> {
        for (Object candidate : Values.items(container, budget)) {
          if (equal(candidate, item, budget)) {
            yield true;
          }
        }
        yield false;
      }
    };
  }

  /** Python's order; numbers, strings by code point, lists and tuples by their first difference. */
  static int order(Object left, Object right, Budget budget) {
    budget.step();
    Object a = left instanceof Boolean flag ? (Object) (flag ? 1L : 0L) : left;
    Object b = right instanceof Boolean flag ? (Object) (flag ? 1L : 0L) : right;
    if (a instanceof Long x && b instanceof Long y) {
      return Long.compare(x, y);
    }
    if (a instanceof Number x && b instanceof Number y) {
      return Double.compare(x.doubleValue(), y.doubleValue());
    }
    if (a instanceof String x && b instanceof String y) {
      return codePointOrder(x, y);
    }
    if (a instanceof Tuple(List<Object> x) && b instanceof Tuple(List<Object> y)) {
      return order(x, y, budget);
    }
    if (a instanceof List<?> x && b instanceof List<?> y) {
      return order(Values.cast(x), Values.cast(y), budget);
    }
    Undefined.require(a);
    Undefined.require(b);
    throw TemplateException.of(
        "a " + Values.typeName(left) + " and a " + Values.typeName(right) + " have no order");
  }

  private static int order(List<Object> x, List<Object> y, Budget budget) {
    for (int i = 0; i < Math.min(x.size(), y.size()); i++) {
      if (!equal(x.get(i), y.get(i), budget)) {
        return order(x.get(i), y.get(i), budget);
      }
    }
    return Integer.compare(x.size(), y.size());
  }

  private static int codePointOrder(String x, String y) {
    int i = 0;
    while (i < x.length() && i < y.length()) {
      int a = x.codePointAt(i);
      int b = y.codePointAt(i);
      if (a != b) {
        return Integer.compare(a, b);
      }
      i += Character.charCount(a);
    }
    return Integer.compare(x.length(), y.length());
  }

  /** Whether a value could be a dict's key. */
  static boolean isKey(Object value) {
    return switch (value) {
      case List<?> list -> false;
      case Map<?, ?> map -> false;
      case Tuple(List<Object> items) -> items.stream().allMatch(Operators::isKey);
      default -> true;
    };
  }

  /** A dict's key: Python refuses those that could change. */
  static Object key(Object value, Budget budget) {
    budget.step();
    return switch (value) {
      case List<?> list -> throw TemplateException.of("a list cannot be a dict's key");
      case Map<?, ?> map -> throw TemplateException.of("a dict cannot be a dict's key");
      case Tuple(List<Object> items) -> {
        items.forEach(item -> key(item, budget));
        yield value;
      }
      case Double number when number == Math.rint(number) && Math.abs(number) < 1L << 53 ->
          number.longValue();
      default -> value;
    };
  }
}

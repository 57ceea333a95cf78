package io.tercel.server.text.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What holds of every value: where it comes from, its truth, its type's name, its items. */
final class Values {
  private static final int MAX_NESTING = 128;

  private Values() {}

  /**
   * A value of a request (maps, lists, strings, numbers, booleans, null) as the template sees it.
   */
  static Object fromJava(@Nullable Object value, Budget budget) {
    return fromJava(value, budget, 0);
  }

  private static Object fromJava(@Nullable Object value, Budget budget, int depth) {
    if (depth > MAX_NESTING) {
      throw TemplateException.of("an input is nested more than " + MAX_NESTING + " deep");
    }
    budget.step();
    return switch (value) {
      case null -> None.NONE;
      case String text -> text;
      case Boolean flag -> flag;
      case Double number -> number;
      case Float number -> Double.valueOf(number.toString());
      case BigDecimal number -> number.doubleValue();
      case BigInteger number -> number.bitLength() > 63 ? number : (Object) number.longValue();
      case Number number -> number.longValue();
      case Map<?, ?> map -> {
        Map<Object, Object> copy = new LinkedHashMap<>();
        map.forEach((k, v) -> copy.put(String.valueOf(k), fromJava(v, budget, depth + 1)));
        yield copy;
      }
      case Collection<?> items -> {
        List<Object> copy = new ArrayList<>(items.size());
        items.forEach(item -> copy.add(fromJava(item, budget, depth + 1)));
        yield copy;
      }
      case Enum<?> constant when constant == None.NONE -> None.NONE;
      case Undefined undefined -> undefined;
      case Tuple tuple -> tuple;
      default ->
          throw TemplateException.of(
              "an input of type " + value.getClass().getSimpleName() + " is not JSON");
    };
  }

  static String typeName(Object value) {
    return switch (value) {
      case None none -> "NoneType";
      case Boolean flag -> "bool";
      case String text -> "str";
      case Double number -> "float";
      case Number number -> "int";
      case Tuple tuple -> "tuple";
      case List<?> list -> "list";
      case Map<?, ?> map -> "dict";
      case Undefined undefined -> "undefined";
      case Namespace namespace -> "namespace";
      case Callable callable -> "function";
      default -> "loop";
    };
  }

  static boolean truthy(Object value) {
    return switch (value) {
      case None none -> false;
      case Undefined undefined -> false;
      case Boolean flag -> flag;
      case String text -> !text.isEmpty();
      case Double number -> number != 0;
      case Long number -> number != 0;
      case Tuple tuple -> !tuple.items().isEmpty();
      case List<?> list -> !list.isEmpty();
      case Map<?, ?> map -> !map.isEmpty();
      default -> true;
    };
  }

  /** A string, or what its Undefined or number prints, as jinja2's soft_str gives filters. */
  static String text(Object value, Budget budget) {
    return PyText.str(value, budget);
  }

  /**
   * The items that a loop or a filter passes over; a dict gives its keys, a string its characters.
   */
  static List<Object> items(Object value, Budget budget) {
    List<Object> items =
        switch (value) {
          case Undefined undefined -> List.of();
          case Tuple tuple -> tuple.items();
          case List<?> list -> cast(list);
          case Map<?, ?> map -> new ArrayList<>(map.keySet());
          case String text -> {
            budget.work(text.length());
            List<Object> characters = new ArrayList<>(text.length());
            text.codePoints().forEach(c -> characters.add(Character.toString(c)));
            yield characters;
          }
          default ->
              throw TemplateException.of("a " + typeName(value) + " has no items to pass over");
        };
    budget.work(items.size());
    return items;
  }

  /** A list of the interpreter's own: it holds non-null objects only. */
  @SuppressWarnings("unchecked")
  static List<Object> cast(List<?> list) {
    return (List<Object>) list;
  }

  static long length(Object value) {
    return switch (value) {
      case Undefined undefined -> 0;
      case String text -> text.codePointCount(0, text.length());
      case Tuple tuple -> tuple.items().size();
      case List<?> list -> list.size();
      case Map<?, ?> map -> map.size();
      default -> throw TemplateException.of("a " + typeName(value) + " has no length");
    };
  }

  static boolean isInteger(Object value) {
    return value instanceof Long || value instanceof BigInteger;
  }

  /** An integer argument of a filter or method; a boolean counts as 0 or 1. */
  static long integer(Object value, String what) {
    return switch (value) {
      case Long number -> number;
      case Boolean flag -> flag ? 1 : 0;
      case Undefined undefined -> throw undefined.error();
      default -> throw TemplateException.of(what + " must be an integer, not a " + typeName(value));
    };
  }

  static int smallInteger(Object value, String what) {
    return (int) Math.max(Integer.MIN_VALUE, Math.min(Integer.MAX_VALUE, integer(value, what)));
  }

  static String string(Object value, String what) {
    return switch (value) {
      case String text -> text;
      case Undefined undefined -> throw undefined.error();
      default -> throw TemplateException.of(what + " must be a string, not a " + typeName(value));
    };
  }
}

package io.tercel.server.text.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Python's {@code a.b}, {@code a[b]} and {@code a[b:c:d]}. */
final class Subscripts {
  private Subscripts() {}

  /** {@code target.name}: a method first, then a dict's item, as jinja2 looks things up. */
  static Object attribute(Object target, String name, Budget budget) {
    return switch (target) {
      case Undefined undefined -> throw undefined.error();
      case Namespace namespace -> namespace.get(name);
      case LoopVariable loop -> loop.get(name);
      default -> {
        Callable method = Methods.find(target, name, budget);
        if (method != null) {
          yield method;
        }
        if (target instanceof Map<?, ?> map) {
          Object item = map.get(name);
          if (item != null) {
            yield item;
          }
        }
        yield missing(target, name);
      }
    };
  }

  /** {@code target[index]}: an item first, then an attribute. */
  static Object item(Object target, Object index, Budget budget) {
    switch (target) {
      case Undefined undefined -> throw undefined.error();
      case Map<?, ?> map -> {
        Object item = Operators.isKey(index) ? map.get(Operators.key(index, budget)) : null;
        if (item != null) {
          return item;
        }
      }
      case String text when index instanceof Long at -> {
        return character(text, at, budget);
      }
      case Tuple(List<Object> items) when index instanceof Long at -> {
        return item(items, at);
      }
      case String text when index instanceof Boolean flag -> {
        return character(text, flag ? 1 : 0, budget);
      }
      case Tuple(List<Object> items) when index instanceof Boolean flag -> {
        return item(items, flag ? 1 : 0);
      }
      case List<?> items when index instanceof Boolean flag -> {
        return item(Values.cast(items), flag ? 1 : 0);
      }
      case List<?> items when index instanceof Long at -> {
        return item(Values.cast(items), at);
      }
      default -> {}
    }
    if (index instanceof String name) {
      return attribute(target, name, budget);
    }
    // Whatever else stands in brackets is not there, as jinja2 has it: nothing raises.
    return missing(target, index instanceof Callable ? "…" : PyText.str(index, budget));
  }

  private static Object character(String text, long at, Budget budget) {
    budget.work(text.length() / 16 + 1);
    int length = text.codePointCount(0, text.length());
    long i = at < 0 ? at + length : at;
    if (i >= 0 && i < length) {
      int start = text.offsetByCodePoints(0, (int) i);
      return Character.toString(text.codePointAt(start));
    }
    return new Undefined("a string of " + length + " characters has no item " + at);
  }

  private static Object item(List<Object> items, long at) {
    long i = at < 0 ? at + items.size() : at;
    return i >= 0 && i < items.size()
        ? items.get((int) i)
        : new Undefined("a list of " + items.size() + " has no item " + at);
  }

  private static Undefined missing(Object target, String name) {
    String what = target == None.NONE ? "None" : "a " + Values.typeName(target);
    return new Undefined(what + " has no attribute '" + name + "'");
  }

  static Object slice(Object target, Object start, Object stop, Object step, Budget budget) {
    long stride = step == None.NONE ? 1 : Values.integer(step, "a slice's step");
    if (stride == 0) {
      throw TemplateException.of("a slice's step is zero");
    }
    return switch (Undefined.require(target)) {
      case String text -> {
        int[] points = text.codePoints().toArray();
        budget.work(points.length);
        StringBuilder out = new StringBuilder();
        for (int i : indices(points.length, start, stop, stride)) {
          out.appendCodePoint(points[i]);
        }
        yield out.toString();
      }
      case Tuple(List<Object> items) -> new Tuple(pick(items, start, stop, stride, budget));
      case List<?> list -> pick(Values.cast(list), start, stop, stride, budget);
      default -> throw TemplateException.of("a " + Values.typeName(target) + " has no slices");
    };
  }

  private static List<Object> pick(
      List<Object> items, Object start, Object stop, long stride, Budget budget) {
    budget.work(items.size());
    List<Object> picked = new ArrayList<>();
    for (int i : indices(items.size(), start, stop, stride)) {
      picked.add(items.get(i));
    }
    return picked;
  }

  private static List<Integer> indices(int length, Object start, Object stop, long stride) {
    long from = bound(start, length, stride, stride > 0 ? 0 : length - 1);
    long to = bound(stop, length, stride, stride > 0 ? length : -1);
    List<Integer> indices = new ArrayList<>();
    for (long i = from; stride > 0 ? i < to : i > to; i += stride) {
      indices.add((int) i);
      if (Math.abs(stride) >= length) {
        break;
      }
    }
    return indices;
  }

  private static long bound(Object value, int length, long stride, long fallback) {
    if (value == None.NONE) {
      return fallback;
    }
    long at = Values.integer(value, "a slice's bound");
    if (at < 0) {
      return Math.max(at + length, stride > 0 ? 0 : -1);
    }
    return Math.min(at, stride > 0 ? length : length - 1);
  }
}

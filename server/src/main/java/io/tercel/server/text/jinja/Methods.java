package io.tercel.server.text.jinja;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The methods of dicts and lists; those of strings stand in {@link StringMethods}. */
final class Methods {
  private Methods() {}

  /** A method bound to its value, or null where the type has none of that name. */
  static @Nullable Callable find(Object target, String name, Budget budget) {
    return switch (target) {
      case String text -> StringMethods.find(text, name, budget);
      case Map<?, ?> map -> ofDict(map, name, budget);
      case Tuple(List<Object> items) -> ofTuple(items, name, budget);
      case List<?> list -> ofList(Values.cast(list), name, budget);
      default -> null;
    };
  }

  private static @Nullable Callable ofDict(Map<?, ?> map, String name, Budget budget) {
    return switch (name) {
      case "items" -> args -> charged(pairs(map), budget);
      case "keys" -> args -> charged(new ArrayList<>(map.keySet()), budget);
      case "values" -> args -> charged(new ArrayList<>(map.values()), budget);
      case "get" ->
          args -> {
            List<Object> bound = args.bind("get()", 1, List.of("key", "default"), None.NONE);
            Object value = map.get(Operators.key(bound.get(0), budget));
            return value != null ? value : bound.get(1);
          };
      case "copy" ->
          args -> {
            budget.work(map.size());
            return new LinkedHashMap<Object, Object>(map);
          };
      case "pop", "popitem", "update", "clear", "setdefault" -> forbidden("dict", name);
      default -> null;
    };
  }

  private static List<Object> charged(List<Object> items, Budget budget) {
    budget.work(items.size());
    return items;
  }

  static List<Object> pairs(Map<?, ?> map) {
    List<Object> pairs = new ArrayList<>(map.size());
    map.forEach((key, value) -> pairs.add(Tuple.of(key, value)));
    return pairs;
  }

  private static @Nullable Callable ofTuple(List<Object> items, String name, Budget budget) {
    return name.equals("index") || name.equals("count") ? ofList(items, name, budget) : null;
  }

  private static @Nullable Callable ofList(List<Object> list, String name, Budget budget) {
    return switch (name) {
      case "count" ->
          args -> {
            Object item = args.bind("count()", 1, List.of("value"), None.NONE).get(0);
            return list.stream().filter(other -> Operators.equal(item, other, budget)).count();
          };
      case "index" ->
          args -> {
            Object item = args.bind("index()", 1, List.of("value"), None.NONE).get(0);
            for (int i = 0; i < list.size(); i++) {
              if (Operators.equal(item, list.get(i), budget)) {
                return (long) i;
              }
            }
            throw TemplateException.of("index(): the item is not in the list");
          };
      case "copy" -> args -> charged(new ArrayList<>(list), budget);
      case "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse" ->
          forbidden("list", name);
      default -> null;
    };
  }

  /** Hugging Face renders in an immutable sandbox: what changes a value raises there too. */
  private static Callable forbidden(String type, String name) {
    return args -> {
      throw TemplateException.of(name + "() would change a " + type + ", which a template may not");
    };
  }
}

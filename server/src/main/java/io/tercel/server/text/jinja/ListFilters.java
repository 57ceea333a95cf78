package io.tercel.server.text.jinja;

import io.tercel.server.text.jinja.Filters.ValueFilter;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** The filters on lists and dicts. */
final class ListFilters {
  static final Map<String, ValueFilter> FILTERS =
      Map.ofEntries(
          Map.entry("join", ListFilters::join),
          Map.entry("first", (value, args, budget) -> end(value, args, true, budget)),
          Map.entry("last", (value, args, budget) -> end(value, args, false, budget)),
          Map.entry(
              "list",
              (value, args, budget) ->
                  new ArrayList<>(Values.items(Filters.none("list", args, value), budget))),
          Map.entry("items", ListFilters::items),
          Map.entry("dictsort", ListFilters::dictSort),
          Map.entry("map", ListFilters::map),
          Map.entry("select", (v, args, budget) -> select(v, args, false, true, budget)),
          Map.entry("reject", (v, args, budget) -> select(v, args, false, false, budget)),
          Map.entry("selectattr", (v, args, budget) -> select(v, args, true, true, budget)),
          Map.entry("rejectattr", (v, args, budget) -> select(v, args, true, false, budget)),
          Map.entry("reverse", ListFilters::reverse),
          Map.entry("sort", ListFilters::sort),
          Map.entry("unique", ListFilters::unique),
          Map.entry("sum", ListFilters::sum),
          Map.entry("min", (value, args, budget) -> extreme(value, args, -1, budget)),
          Map.entry("max", (value, args, budget) -> extreme(value, args, 1, budget)));

  private ListFilters() {}

  private static Object join(Object value, Args args, Budget budget) {
    List<Object> bound = args.bind("join", 0, List.of("d", "attribute"), None.NONE);
    String separator = bound.get(0) == None.NONE ? "" : Values.text(bound.get(0), budget);
    List<Object> parts = new ArrayList<>();
    for (Object item : Values.items(value, budget)) {
      parts.add(Values.text(attribute(item, bound.get(1), budget), budget));
    }
    return StringMethods.join(separator, parts, budget);
  }

  /** An item's attribute by a dotted path, or the item itself where none is named. */
  private static Object attribute(Object item, Object path, Budget budget) {
    if (path == None.NONE) {
      return item;
    }
    if (path instanceof Long index) {
      return Subscripts.item(item, index, budget);
    }
    Object value = item;
    for (String name : Values.string(path, "an attribute's name").split("\\.", -1)) {
      budget.step();
      Object key = name.matches("\\d{1,9}") ? (Object) Long.valueOf(name) : name;
      value = Subscripts.item(value, key, budget);
    }
    return value;
  }

  private static Object end(Object value, Args args, boolean first, Budget budget) {
    args.atMost(first ? "first" : "last", 0);
    List<Object> items = Values.items(value, budget);
    if (items.isEmpty()) {
      return new Undefined("an empty list has no " + (first ? "first" : "last") + " item");
    }
    return first ? items.getFirst() : items.getLast();
  }

  private static Object items(Object value, Args args, Budget budget) {
    args.atMost("items", 0);
    return switch (value) {
      case Undefined undefined -> new ArrayList<>();
      case Map<?, ?> map -> {
        budget.work(map.size());
        yield Methods.pairs(map);
      }
      default -> throw TemplateException.of("items takes a dict, not a " + Values.typeName(value));
    };
  }

  private static Object dictSort(Object value, Args args, Budget budget) {
    List<Object> bound =
        args.bind("dictsort", 0, List.of("case_sensitive", "by", "reverse"), None.NONE);
    if (!(Undefined.require(value) instanceof Map<?, ?> map)) {
      throw TemplateException.of("dictsort takes a dict, not a " + Values.typeName(value));
    }
    boolean exact = Values.truthy(bound.get(0));
    int by = "value".equals(bound.get(1)) ? 1 : 0;
    List<Object> pairs = Methods.pairs(map);
    budget.work(pairs.size() * 16L);
    Comparator<Object> order =
        Comparator.comparing(
            pair -> folded(((Tuple) pair).items().get(by), exact),
            (a, b) -> Operators.order(a, b, budget));
    pairs.sort(Values.truthy(bound.get(2)) ? order.reversed() : order);
    return pairs;
  }

  private static Object folded(Object value, boolean caseSensitive) {
    return !caseSensitive && value instanceof String text ? text.toLowerCase(Locale.ROOT) : value;
  }

  private static Object map(Object value, Args args, Budget budget) {
    List<Object> mapped = new ArrayList<>();
    boolean byAttribute = args.positional().isEmpty();
    if (byAttribute) {
      List<String> names = List.of("attribute", "default");
      List<Object> bound = args.bind("map", 1, names, new Undefined("no default"));
      for (Object item : itemsIfAny(value, budget)) {
        Object found = attribute(item, bound.get(0), budget);
        mapped.add(found instanceof Undefined && args.size() > 1 ? bound.get(1) : found);
      }
      return mapped;
    }
    String filter = Values.string(args.positional().getFirst(), "map's filter");
    Args rest = args.after(1);
    for (Object item : itemsIfAny(value, budget)) {
      mapped.add(Filters.apply(filter, item, rest, budget));
    }
    return mapped;
  }

  private static Object select(
      Object value, Args args, boolean byAttribute, boolean keep, Budget budget) {
    int used = byAttribute ? 1 : 0;
    if (args.positional().size() < used) {
      throw TemplateException.of("selectattr and rejectattr need an attribute's name");
    }
    Object path = byAttribute ? args.positional().getFirst() : None.NONE;
    boolean named = args.positional().size() > used;
    String test = named ? Values.string(args.positional().get(used), "a test's name") : "";
    Args rest = args.after(used + 1);
    List<Object> selected = new ArrayList<>();
    for (Object item : itemsIfAny(value, budget)) {
      Object subject = attribute(item, path, budget);
      boolean holds =
          named ? Tests.apply(testName(test), subject, rest, budget) : Values.truthy(subject);
      if (holds == keep) {
        selected.add(item);
      }
    }
    return selected;
  }

  /** The items of what is true; jinja2's map, select and reject don't look at anything else. */
  private static List<Object> itemsIfAny(Object value, Budget budget) {
    return Values.truthy(value) ? Values.items(value, budget) : List.of();
  }

  private static String testName(String name) {
    return switch (name) {
      case "==" -> "eq";
      case "!=" -> "ne";
      case "<" -> "lt";
      case "<=" -> "le";
      case ">" -> "gt";
      case ">=" -> "ge";
      default -> name;
    };
  }

  private static Object reverse(Object value, Args args, Budget budget) {
    args.atMost("reverse", 0);
    if (value instanceof String text) {
      return new StringBuilder(text).reverse().toString();
    }
    List<Object> reversed = new ArrayList<>(Values.items(value, budget));
    Collections.reverse(reversed);
    return reversed;
  }

  private static Object sort(Object value, Args args, Budget budget) {
    List<Object> bound =
        args.bind("sort", 0, List.of("reverse", "case_sensitive", "attribute"), None.NONE);
    boolean exact = Values.truthy(bound.get(1));
    List<Object> sorted = new ArrayList<>(Values.items(value, budget));
    budget.work(sorted.size() * 16L);
    Comparator<Object> order =
        Comparator.comparing(
            item -> folded(attribute(item, bound.get(2), budget), exact),
            (a, b) -> Operators.order(a, b, budget));
    sorted.sort(Values.truthy(bound.get(0)) ? order.reversed() : order);
    return sorted;
  }

  private static Object unique(Object value, Args args, Budget budget) {
    List<Object> bound = args.bind("unique", 0, List.of("case_sensitive", "attribute"), None.NONE);
    boolean exact = Values.truthy(bound.get(0));
    Set<Object> seen = new HashSet<>();
    List<Object> kept = new ArrayList<>();
    for (Object item : Values.items(value, budget)) {
      if (seen.add(Operators.key(folded(attribute(item, bound.get(1), budget), exact), budget))) {
        kept.add(item);
      }
    }
    return kept;
  }

  private static Object sum(Object value, Args args, Budget budget) {
    List<Object> bound = args.bind("sum", 0, List.of("attribute", "start"), None.NONE);
    Object total = bound.get(1) == None.NONE ? 0L : bound.get(1);
    for (Object item : Values.items(value, budget)) {
      total = Operators.binary("+", total, attribute(item, bound.get(0), budget), budget);
    }
    return total;
  }

  private static Object extreme(Object value, Args args, int direction, Budget budget) {
    List<Object> bound =
        args.bind("min and max", 0, List.of("case_sensitive", "attribute"), None.NONE);
    boolean exact = Values.truthy(bound.get(0));
    List<Object> items = Values.items(value, budget);
    if (items.isEmpty()) {
      return new Undefined("an empty list has no extreme");
    }
    Object best = items.getFirst();
    Object bestKey = folded(attribute(best, bound.get(1), budget), exact);
    for (Object item : items) {
      Object key = folded(attribute(item, bound.get(1), budget), exact);
      if (Integer.signum(Operators.order(key, bestKey, budget)) == direction) {
        best = item;
        bestKey = key;
      }
    }
    return best;
  }
}

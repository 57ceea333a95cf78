package io.tercel.server.text.jinja;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The evaluated arguments of one call, filter or test. */
record Args(List<Object> positional, Map<String, Object> named) {
  static final Args NONE = new Args(List.of(), Map.of());

  static Args of(Object... values) {
    return new Args(List.of(values), Map.of());
  }

  int size() {
    return positional.size() + named.size();
  }

  /** The parameters in order; {@code fallback} for those not given. */
  List<Object> bind(String what, int required, List<String> names, Object fallback) {
    if (positional.size() > names.size()) {
      throw TemplateException.of(
          what + " takes at most " + names.size() + " arguments, " + positional.size() + " given");
    }
    Map<String, Object> rest = new LinkedHashMap<>(named);
    List<Object> bound = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      Object byName = rest.remove(names.get(i));
      Object value = i < positional.size() ? positional.get(i) : byName;
      if (value == null && i < required) {
        throw TemplateException.of(what + " lacks its argument '" + names.get(i) + "'");
      }
      bound.add(value == null ? fallback : value);
    }
    if (!rest.isEmpty()) {
      throw TemplateException.of(
          what + " has no argument '" + rest.keySet().iterator().next() + "'");
    }
    return bound;
  }

  /** The one parameter at a position or by name, or a default. */
  Object get(int index, String name, Object fallback) {
    if (index < positional.size()) {
      return positional.get(index);
    }
    Object byName = named.get(name);
    return byName != null ? byName : fallback;
  }

  void atMost(String what, int count) {
    if (size() > count) {
      throw TemplateException.of(
          what + " takes at most " + count + " arguments, " + size() + " given");
    }
  }

  /** The arguments after the first {@code count} positional ones. */
  Args after(int count) {
    return new Args(
        positional.subList(Math.min(count, positional.size()), positional.size()), named);
  }
}

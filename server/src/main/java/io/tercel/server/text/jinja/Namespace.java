package io.tercel.server.text.jinja;

import java.util.LinkedHashMap;
import java.util.Map;

/** What {@code namespace(…)} makes: the one value whose attributes a template may assign. */
final class Namespace {
  private final Map<String, Object> attributes = new LinkedHashMap<>();

  Object get(String name) {
    Object value = attributes.get(name);
    return value != null
        ? value
        : new Undefined("'namespace object' has no attribute '" + name + "'");
  }

  void set(String name, Object value) {
    attributes.put(name, value);
  }
}

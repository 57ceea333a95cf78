package io.tercel.server.text.jinja;

import java.util.List;

/** A Python tuple: a list that prints in parentheses and may be a dict's key. */
record Tuple(List<Object> items) {
  static Tuple of(Object... items) {
    return new Tuple(List.of(items));
  }
}

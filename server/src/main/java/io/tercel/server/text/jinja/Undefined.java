package io.tercel.server.text.jinja;

/**
 * The value of a name or attribute that does not exist: prints as nothing, is false, has no items;
 * any other use raises its reason, as jinja2's default Undefined does.
 */
record Undefined(String reason) {
  TemplateException error() {
    return TemplateException.of(reason);
  }

  /** The value itself, or its error where it is undefined. */
  static Object require(Object value) {
    if (value instanceof Undefined undefined) {
      throw undefined.error();
    }
    return value;
  }
}

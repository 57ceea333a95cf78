package io.tercel.server.text.jinja;

/** Python's None; a value of its own, so that no Java null travels through the interpreter. */
public enum None {
  /** The one None. */
  NONE
}

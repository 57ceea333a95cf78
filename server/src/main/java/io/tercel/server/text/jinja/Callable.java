package io.tercel.server.text.jinja;

/** A value that can be called: a global function, a bound method or a macro. */
@FunctionalInterface
interface Callable {
  Object call(Args args);
}

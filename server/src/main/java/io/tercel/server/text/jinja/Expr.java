package io.tercel.server.text.jinja;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An expression; each kind is one record, and each knows its line. */
sealed interface Expr {
  int line();

  record Literal(Object value, int line) implements Expr {}

  record Name(String name, int line) implements Expr {}

  record ListLiteral(List<Expr> items, int line) implements Expr {}

  record TupleLiteral(List<Expr> items, int line) implements Expr {}

  record DictLiteral(List<Expr> keys, List<Expr> values, int line) implements Expr {}

  record Attribute(Expr target, String name, int line) implements Expr {}

  record Subscript(Expr target, Expr index, int line) implements Expr {}

  record Slice(Expr target, Expr start, Expr stop, Expr step, int line) implements Expr {}

  record Call(Expr callee, Arguments arguments, int line) implements Expr {}

  record Filter(Expr input, String name, Arguments arguments, int line) implements Expr {}

  record Test(Expr input, String name, Arguments arguments, int line) implements Expr {}

  record Not(Expr operand, int line) implements Expr {}

  /** {@code +x} or {@code -x}. */
  record Sign(boolean negative, Expr operand, int line) implements Expr {}

  record Binary(String operator, Expr left, Expr right, int line) implements Expr {}

  record Concat(List<Expr> parts, int line) implements Expr {}

  record And(Expr left, Expr right, int line) implements Expr {}

  record Or(Expr left, Expr right, int line) implements Expr {}

  /** {@code a < b <= c}: one operand more than operators. */
  record Comparison(List<Expr> operands, List<String> operators, int line) implements Expr {}

  /** {@code a if test else b}; without else, undefined. */
  record Conditional(Expr then, Expr test, @Nullable Expr otherwise, int line) implements Expr {}

  /**
   * The arguments of a call as written.
   *
   * @param list whose items are more positional arguments: {@code *list}
   * @param dict whose entries are more named ones: {@code **dict}
   */
  record Arguments(
      List<Expr> positional, Map<String, Expr> named, @Nullable Expr list, @Nullable Expr dict) {
    static final Arguments NONE = of(List.of(), Map.of());

    static Arguments of(List<Expr> positional, Map<String, Expr> named) {
      return new Arguments(positional, named, null, null);
    }
  }
}

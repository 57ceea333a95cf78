package io.tercel.server.text.jinja;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** A statement of a template; text between tags is one too. */
sealed interface Statement {
  int line();

  record Text(String text, int line) implements Statement {}

  record Output(Expr value, int line) implements Statement {}

  /** The branches of if and elif in order, and what stands under else. */
  record If(List<Branch> branches, List<Statement> otherwise, int line) implements Statement {}

  record Branch(Expr test, List<Statement> body) {}

  record For(
      Target target,
      Expr items,
      @Nullable Expr filter,
      List<Statement> body,
      List<Statement> otherwise,
      int line)
      implements Statement {}

  record Set(Target target, Expr value, int line) implements Statement {}

  /** {@code {% set x %}…{% endset %}}, and {@code {% filter f %}…} without a target. */
  record Capture(@Nullable Target target, List<Statement> body, List<Expr.Filter> filters, int line)
      implements Statement {}

  record Macro(String name, List<Parameter> parameters, List<Statement> body, int line)
      implements Statement {}

  record Parameter(String name, @Nullable Expr fallback) {}

  /** {@code {% call(x) m() %}…{% endcall %}}: the body becomes the macro's caller(). */
  record CallBlock(Macro caller, Expr.Call call, int line) implements Statement {}

  /** {@code {% with a = 1 %}…} and {@code {% generation %}…}: a body with a scope of its own. */
  record Block(List<Set> assignments, List<Statement> body, int line) implements Statement {}

  record Break(int line) implements Statement {}

  record Continue(int line) implements Statement {}

  /** What an assignment or a loop assigns to. */
  sealed interface Target {
    record Variable(String name) implements Target {}

    record Member(String namespace, String attribute) implements Target {}

    record Unpack(List<Target> parts) implements Target {}
  }
}

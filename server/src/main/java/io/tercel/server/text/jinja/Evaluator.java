package io.tercel.server.text.jinja;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Computes expressions, and remembers the line it is at so that an error can name it. */
final class Evaluator {
  final Budget budget;
  private int line;

  Evaluator(Budget budget) {
    this.budget = budget;
  }

  /** The line of the template being rendered. */
  int line() {
    return line;
  }

  void at(int newLine) {
    budget.step();
    line = newLine;
  }

  Object evaluate(Expr expression, Scope scope) {
    at(expression.line());
    return switch (expression) {
      case Expr.Literal literal -> literal.value();
      case Expr.Name name -> scope.get(name.name());
      case Expr.ListLiteral list -> all(list.items(), scope);
      case Expr.TupleLiteral tuple -> new Tuple(all(tuple.items(), scope));
      case Expr.DictLiteral dict -> dict(dict, scope);
      case Expr.Attribute attribute ->
          Subscripts.attribute(evaluate(attribute.target(), scope), attribute.name(), budget);
      case Expr.Subscript subscript ->
          Subscripts.item(
              evaluate(subscript.target(), scope), evaluate(subscript.index(), scope), budget);
      case Expr.Slice slice ->
          Subscripts.slice(
              evaluate(slice.target(), scope),
              evaluate(slice.start(), scope),
              evaluate(slice.stop(), scope),
              evaluate(slice.step(), scope),
              budget);
      case Expr.Call call -> call(call, scope, Map.of());
      case Expr.Filter filter -> filter(filter, evaluate(filter.input(), scope), scope);
      case Expr.Test test -> {
        Object value = evaluate(test.input(), scope);
        yield Tests.apply(test.name(), value, arguments(test.arguments(), scope), budget);
      }
      case Expr.Not not -> !Values.truthy(evaluate(not.operand(), scope));
      case Expr.Sign sign -> Operators.sign(sign.negative(), evaluate(sign.operand(), scope));
      case Expr.Binary binary -> {
        Object left = evaluate(binary.left(), scope);
        Object right = evaluate(binary.right(), scope);
        line = binary.line();
        yield Operators.binary(binary.operator(), left, right, budget);
      }
      case Expr.Concat concat -> concat(concat, scope);
      case Expr.And and -> {
        Object left = evaluate(and.left(), scope);
        yield Values.truthy(left) ? evaluate(and.right(), scope) : left;
      }
      case Expr.Or or -> {
        Object left = evaluate(or.left(), scope);
        yield Values.truthy(left) ? left : evaluate(or.right(), scope);
      }
      case Expr.Comparison comparison -> comparison(comparison, scope);
      case Expr.Conditional conditional -> conditional(conditional, scope);
    };
  }

  Object filter(Expr.Filter filter, Object input, Scope scope) {
    Args args = arguments(filter.arguments(), scope);
    line = filter.line();
    return Filters.apply(filter.name(), input, args, budget);
  }

  private List<Object> all(List<Expr> expressions, Scope scope) {
    budget.work(expressions.size());
    List<Object> values = new ArrayList<>(expressions.size());
    for (Expr expression : expressions) {
      values.add(evaluate(expression, scope));
    }
    return values;
  }

  private Object dict(Expr.DictLiteral dict, Scope scope) {
    Map<Object, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < dict.keys().size(); i++) {
      Object key = Operators.key(evaluate(dict.keys().get(i), scope), budget);
      map.put(key, evaluate(dict.values().get(i), scope));
    }
    return map;
  }

  private Args arguments(Expr.Arguments arguments, Scope scope) {
    Map<String, Object> named = new LinkedHashMap<>();
    List<Object> positional = all(arguments.positional(), scope);
    arguments.named().forEach((name, value) -> named.put(name, evaluate(value, scope)));
    if (arguments.list() != null) {
      positional.addAll(Values.items(evaluate(arguments.list(), scope), budget));
    }
    if (arguments.dict() != null) {
      addNamed(evaluate(arguments.dict(), scope), named);
    }
    return positional.isEmpty() && named.isEmpty() ? Args.NONE : new Args(positional, named);
  }

  private void addNamed(Object dict, Map<String, Object> named) {
    if (!(Undefined.require(dict) instanceof Map<?, ?> map)) {
      throw TemplateException.of("'**' takes a dict, not a " + Values.typeName(dict));
    }
    budget.work(map.size());
    map.forEach(
        (key, value) -> {
          String name = Values.string(key, "the name of an argument");
          if (named.put(name, value) != null) {
            throw TemplateException.of("the argument '" + name + "' is given twice");
          }
        });
  }

  /** A call, with arguments that the template did not write (a call block's caller). */
  Object call(Expr.Call call, Scope scope, Map<String, Object> extra) {
    Object callee = evaluate(call.callee(), scope);
    Args args = arguments(call.arguments(), scope);
    if (!extra.isEmpty()) {
      Map<String, Object> named = new LinkedHashMap<>(args.named());
      named.putAll(extra);
      args = new Args(args.positional(), named);
    }
    line = call.line();
    return switch (callee) {
      case Callable callable -> callable.call(args);
      case Undefined undefined -> throw undefined.error();
      default -> throw TemplateException.of("a " + Values.typeName(callee) + " cannot be called");
    };
  }

  private Object concat(Expr.Concat concat, Scope scope) {
    StringBuilder out = new StringBuilder();
    for (Expr part : concat.parts()) {
      String text = Values.text(evaluate(part, scope), budget);
      budget.work((long) text.length() + out.length() / 16);
      out.append(text);
    }
    return out.toString();
  }

  private Object comparison(Expr.Comparison comparison, Scope scope) {
    Object left = evaluate(comparison.operands().getFirst(), scope);
    for (int i = 0; i < comparison.operators().size(); i++) {
      Object right = evaluate(comparison.operands().get(i + 1), scope);
      line = comparison.line();
      if (!Operators.compare(comparison.operators().get(i), left, right, budget)) {
        return false;
      }
      left = right;
    }
    return true;
  }

  private Object conditional(Expr.Conditional conditional, Scope scope) {
    if (Values.truthy(evaluate(conditional.test(), scope))) {
      return evaluate(conditional.then(), scope);
    }
    Expr otherwise = conditional.otherwise();
    return otherwise != null
        ? evaluate(otherwise, scope)
        : new Undefined("an inline 'if' without 'else' has no value");
  }
}

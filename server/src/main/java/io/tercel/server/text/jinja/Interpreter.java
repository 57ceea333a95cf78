package io.tercel.server.text.jinja;

import io.tercel.server.text.jinja.Statement.Target;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Runs a template's statements, writing text. */
final class Interpreter {
  /** How a list of statements ended. */
  private enum Flow {
    ON,
    BREAK,
    CONTINUE
  }

  private final Budget budget;
  private final Evaluator evaluator;
  private int loopDepth;

  Interpreter(Budget budget) {
    this.budget = budget;
    this.evaluator = new Evaluator(budget);
  }

  /** Renders; every error leaves with the line it happened at. */
  String render(List<Statement> statements, Scope scope) {
    StringBuilder out = new StringBuilder();
    try {
      run(statements, scope, out);
    } catch (TemplateException e) {
      throw e.at(evaluator.line());
    } catch (StackOverflowError e) {
      throw new TemplateException("expressions are nested too deep", evaluator.line());
    } catch (ArithmeticException | ClassCastException | IllegalArgumentException e) {
      // None is known to get here; should one, it is the template's request that fails, not ours.
      throw new TemplateException("cannot compute: " + e.getMessage(), evaluator.line());
    }
    return out.toString();
  }

  private Flow run(List<Statement> statements, Scope scope, StringBuilder out) {
    for (Statement statement : statements) {
      evaluator.at(statement.line());
      Flow flow = run(statement, scope, out);
      if (flow != Flow.ON) {
        return flow;
      }
    }
    return Flow.ON;
  }

  private Flow run(Statement statement, Scope scope, StringBuilder out) {
    switch (statement) {
      case Statement.Text text -> write(text.text(), out);
      case Statement.Output output ->
          write(Values.text(evaluator.evaluate(output.value(), scope), budget), out);
      case Statement.If branches -> {
        for (Statement.Branch branch : branches.branches()) {
          if (Values.truthy(evaluator.evaluate(branch.test(), scope))) {
            return run(branch.body(), scope, out);
          }
        }
        return run(branches.otherwise(), scope, out);
      }
      case Statement.For loop -> {
        return loop(loop, scope, out);
      }
      case Statement.Set set -> assign(set.target(), evaluator.evaluate(set.value(), scope), scope);
      case Statement.Capture capture -> capture(capture, scope, out);
      case Statement.Macro macro -> scope.set(macro.name(), macro(macro, scope));
      case Statement.CallBlock block -> {
        Map<String, Object> caller = Map.of("caller", macro(block.caller(), scope));
        write(Values.text(evaluator.call(block.call(), scope, caller), budget), out);
      }
      case Statement.Block block -> {
        Scope inner = new Scope(scope);
        for (Statement.Set set : block.assignments()) {
          assign(set.target(), evaluator.evaluate(set.value(), scope), inner);
        }
        return run(block.body(), inner, out);
      }
      case Statement.Break stop -> {
        return Flow.BREAK;
      }
      case Statement.Continue next -> {
        return Flow.CONTINUE;
      }
    }
    return Flow.ON;
  }

  private void write(String text, StringBuilder out) {
    budget.output((long) out.length() + text.length());
    budget.work(text.length());
    out.append(text);
  }

  private Flow loop(Statement.For loop, Scope scope, StringBuilder out) {
    List<Object> items = Values.items(evaluator.evaluate(loop.items(), scope), budget);
    Expr filter = loop.filter();
    if (filter != null) {
      items = filtered(items, loop.target(), filter, scope);
    }
    if (items.isEmpty()) {
      return run(loop.otherwise(), new Scope(scope), out);
    }
    LoopVariable variable = new LoopVariable(items, loopDepth++, budget);
    for (int i = 0; i < items.size(); i++) {
      variable.moveTo(i);
      // A fresh scope for each turn: what a turn sets is gone in the next, as in jinja2.
      Scope turn = new Scope(scope);
      turn.set("loop", variable);
      assign(loop.target(), items.get(i), turn);
      if (run(loop.body(), turn, out) == Flow.BREAK) {
        break;
      }
    }
    loopDepth--;
    return Flow.ON;
  }

  private List<Object> filtered(List<Object> items, Target target, Expr filter, Scope scope) {
    List<Object> kept = new ArrayList<>();
    for (Object item : items) {
      Scope turn = new Scope(scope);
      assign(target, item, turn);
      if (Values.truthy(evaluator.evaluate(filter, turn))) {
        kept.add(item);
      }
    }
    return kept;
  }

  private void assign(Target target, Object value, Scope scope) {
    switch (target) {
      case Target.Variable variable -> scope.set(variable.name(), value);
      case Target.Member member -> {
        if (!(scope.get(member.namespace()) instanceof Namespace namespace)) {
          throw TemplateException.of(
              "'" + member.namespace() + "' is no namespace; only those have attributes to set");
        }
        namespace.set(member.attribute(), value);
      }
      case Target.Unpack unpack -> {
        List<Object> items = Values.items(Undefined.require(value), budget);
        if (items.size() != unpack.parts().size()) {
          throw TemplateException.of(
              items.size() + " values cannot be unpacked into " + unpack.parts().size());
        }
        for (int i = 0; i < items.size(); i++) {
          assign(unpack.parts().get(i), items.get(i), scope);
        }
      }
    }
  }

  private void capture(Statement.Capture capture, Scope scope, StringBuilder out) {
    StringBuilder inner = new StringBuilder();
    run(capture.body(), new Scope(scope), inner);
    Object value = inner.toString();
    for (Expr.Filter filter : capture.filters()) {
      value = evaluator.filter(filter, value, scope);
    }
    Target target = capture.target();
    if (target == null) {
      write(Values.text(value, budget), out);
    } else {
      assign(target, value, scope);
    }
  }

  private Callable macro(Statement.Macro macro, Scope defined) {
    return args -> {
      budget.enter("macro '" + macro.name() + "'");
      int depth = loopDepth;
      Scope scope = bind(macro, args, defined);
      StringBuilder out = new StringBuilder();
      run(macro.body(), scope, out);
      loopDepth = depth;
      budget.exit();
      return out.toString();
    };
  }

  private Scope bind(Statement.Macro macro, Args args, Scope defined) {
    Scope scope = new Scope(defined);
    Map<String, Object> named = new HashMap<>(args.named());
    @Nullable Object caller = named.remove("caller");
    if (caller != null) {
      scope.set("caller", caller);
    }
    List<Statement.Parameter> parameters = macro.parameters();
    if (args.positional().size() > parameters.size()) {
      throw TemplateException.of(
          "macro '" + macro.name() + "' takes at most " + parameters.size() + " arguments");
    }
    for (int i = 0; i < parameters.size(); i++) {
      Statement.Parameter parameter = parameters.get(i);
      Object byName = named.remove(parameter.name());
      Expr fallback = parameter.fallback();
      if (i < args.positional().size()) {
        if (byName != null) {
          throw TemplateException.of(
              "macro '" + macro.name() + "' got two values for '" + parameter.name() + "'");
        }
        scope.set(parameter.name(), args.positional().get(i));
      } else if (byName != null) {
        scope.set(parameter.name(), byName);
      } else if (fallback != null) {
        scope.set(parameter.name(), evaluator.evaluate(fallback, scope));
      } else {
        scope.set(
            parameter.name(), new Undefined("parameter '" + parameter.name() + "' was not given"));
      }
    }
    if (!named.isEmpty()) {
      throw TemplateException.of(
          "macro '"
              + macro.name()
              + "' has no parameter '"
              + named.keySet().iterator().next()
              + "'");
    }
    return scope;
  }
}

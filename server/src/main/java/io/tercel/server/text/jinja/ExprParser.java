package io.tercel.server.text.jinja;

import io.tercel.server.text.jinja.Expr.Arguments;
import io.tercel.server.text.jinja.Token.Kind;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Parses expressions, in jinja2's order of precedence; unknown filters and tests are refused. */
final class ExprParser extends TokenCursor {
  private static final int MAX_NESTING = 200;
  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
  private static final Set<Kind> TEST_ARGUMENTS =
      Set.of(Kind.NAME, Kind.STRING, Kind.INTEGER, Kind.FLOAT);

  private int nesting;

  ExprParser(List<Token> tokens) {
    super(tokens);
  }

  /** A whole expression, with the ternary. */
  Expr expression() {
    if (++nesting > MAX_NESTING) {
      throw error("an expression is nested more than " + MAX_NESTING + " deep");
    }
    try {
      Expr value = or();
      while (skipName("if")) {
        int line = peek().line();
        Expr test = or();
        Expr otherwise = skipName("else") ? expression() : null;
        value = new Expr.Conditional(value, test, otherwise, line);
      }
      return value;
    } finally {
      nesting--;
    }
  }

  /** One expression, or several with commas as a tuple. */
  Expr tuple(boolean withTernary) {
    int line = peek().line();
    Expr first = withTernary ? expression() : or();
    if (!peek().isOperator(",")) {
      return first;
    }
    List<Expr> items = new ArrayList<>(List.of(first));
    while (skipOperator(",")) {
      Token token = peek();
      if (token.kind() == Kind.BLOCK_END
          || token.kind() == Kind.OUTPUT_END
          || token.isOperator(")")) {
        break;
      }
      items.add(withTernary ? expression() : or());
    }
    return new Expr.TupleLiteral(items, line);
  }

  private Expr or() {
    Expr left = and();
    while (peek().isName("or")) {
      int line = next().line();
      left = new Expr.Or(left, and(), line);
    }
    return left;
  }

  private Expr and() {
    Expr left = not();
    while (peek().isName("and")) {
      int line = next().line();
      left = new Expr.And(left, not(), line);
    }
    return left;
  }

  private Expr not() {
    int negations = 0;
    int line = peek().line();
    while (skipName("not")) {
      negations++;
    }
    Expr value = comparison();
    // Two negations are not none: they make a truth value.
    for (int i = 0; i < (negations > 2 ? 2 + negations % 2 : negations); i++) {
      value = new Expr.Not(value, line);
    }
    return value;
  }

  private Expr comparison() {
    int line = peek().line();
    Expr first = sum();
    List<Expr> operands = new ArrayList<>(List.of(first));
    List<String> operators = new ArrayList<>();
    while (true) {
      if (peek().kind() == Kind.OPERATOR && COMPARISONS.contains(peek().text())) {
        operators.add(next().text());
      } else if (skipName("in")) {
        operators.add("in");
      } else if (peek().isName("not") && peekSecond().isName("in")) {
        next();
        next();
        operators.add("not in");
      } else {
        return operators.isEmpty() ? first : new Expr.Comparison(operands, operators, line);
      }
      operands.add(sum());
    }
  }

  private Expr sum() {
    Expr left = concat();
    while (peek().isOperator("+") || peek().isOperator("-")) {
      Token operator = next();
      left = new Expr.Binary(operator.text(), left, concat(), operator.line());
    }
    return left;
  }

  private Expr concat() {
    int line = peek().line();
    Expr first = product();
    if (!peek().isOperator("~")) {
      return first;
    }
    List<Expr> parts = new ArrayList<>(List.of(first));
    while (skipOperator("~")) {
      parts.add(product());
    }
    return new Expr.Concat(parts, line);
  }

  private Expr product() {
    Expr left = power();
    while (peek().kind() == Kind.OPERATOR && Set.of("*", "/", "//", "%").contains(peek().text())) {
      Token operator = next();
      left = new Expr.Binary(operator.text(), left, power(), operator.line());
    }
    return left;
  }

  private Expr power() {
    Expr left = unary(true);
    while (peek().isOperator("**")) {
      int line = next().line();
      left = new Expr.Binary("**", left, unary(true), line);
    }
    return left;
  }

  private Expr unary(boolean withFilter) {
    if (++nesting > MAX_NESTING) {
      throw error("an expression is nested more than " + MAX_NESTING + " deep");
    }
    Token token = peek();
    Expr value;
    if (token.isOperator("-") || token.isOperator("+")) {
      next();
      value = new Expr.Sign(token.isOperator("-"), unary(false), token.line());
    } else {
      value = primary();
    }
    value = postfix(value);
    nesting--;
    return withFilter ? filters(value) : value;
  }

  private Expr primary() {
    Token token = next();
    int line = token.line();
    switch (token.kind()) {
      case NAME -> {
        return name(token);
      }
      case STRING -> {
        StringBuilder text = new StringBuilder(token.text());
        while (peek().kind() == Kind.STRING) {
          text.append(next().text());
        }
        return new Expr.Literal(text.toString(), line);
      }
      case INTEGER -> {
        return new Expr.Literal(integer(token), line);
      }
      case FLOAT -> {
        return new Expr.Literal(Double.valueOf(token.text()), line);
      }
      case OPERATOR -> {
        switch (token.text()) {
          case "(" -> {
            if (skipOperator(")")) {
              return new Expr.TupleLiteral(List.of(), line);
            }
            Expr inner = tuple(true);
            expectOperator(")");
            return inner;
          }
          case "[" -> {
            return new Expr.ListLiteral(listItems(), line);
          }
          case "{" -> {
            return dict(line);
          }
          default -> {}
        }
      }
      default -> {}
    }
    throw new TemplateException("expected an expression, found " + token.describe(), line);
  }

  private static Expr name(Token token) {
    int line = token.line();
    return switch (token.text()) {
      case "true", "True" -> new Expr.Literal(true, line);
      case "false", "False" -> new Expr.Literal(false, line);
      case "none", "None" -> new Expr.Literal(None.NONE, line);
      case "if", "else", "elif", "and", "or", "not", "in", "is" ->
          throw new TemplateException("expected an expression, found '" + token.text() + "'", line);
      default -> new Expr.Name(token.text(), line);
    };
  }

  private static Object integer(Token token) {
    BigInteger value = new BigInteger(token.text());
    if (value.bitLength() > 63) {
      throw new TemplateException("an integer of more than 64 bits", token.line());
    }
    return value.longValueExact();
  }

  private List<Expr> listItems() {
    List<Expr> items = new ArrayList<>();
    while (!skipOperator("]")) {
      if (!items.isEmpty()) {
        expectOperator(",");
        if (skipOperator("]")) {
          break;
        }
      }
      items.add(expression());
    }
    return items;
  }

  private Expr dict(int line) {
    List<Expr> keys = new ArrayList<>();
    List<Expr> values = new ArrayList<>();
    while (!skipOperator("}")) {
      if (!keys.isEmpty()) {
        expectOperator(",");
        if (skipOperator("}")) {
          break;
        }
      }
      keys.add(expression());
      expectOperator(":");
      values.add(expression());
    }
    return new Expr.DictLiteral(keys, values, line);
  }

  private Expr postfix(Expr start) {
    Expr value = start;
    while (true) {
      int line = peek().line();
      if (skipOperator(".")) {
        Token member = next();
        value =
            switch (member.kind()) {
              case NAME -> new Expr.Attribute(value, member.text(), line);
              case INTEGER ->
                  new Expr.Subscript(value, new Expr.Literal(integer(member), line), line);
              default -> throw new TemplateException("expected a name after '.'", line);
            };
      } else if (skipOperator("[")) {
        value = subscript(value, line);
      } else if (peek().isOperator("(")) {
        value = new Expr.Call(value, arguments(), line);
      } else {
        return value;
      }
    }
  }

  private Expr subscript(Expr target, int line) {
    Expr none = new Expr.Literal(None.NONE, line);
    Expr start = peek().isOperator(":") ? none : expression();
    if (skipOperator("]")) {
      return new Expr.Subscript(target, start, line);
    }
    expectOperator(":");
    Expr stop = peek().isOperator(":") || peek().isOperator("]") ? none : expression();
    Expr step = skipOperator(":") && !peek().isOperator("]") ? expression() : none;
    expectOperator("]");
    return new Expr.Slice(target, start, stop, step, line);
  }

  private Expr filters(Expr start) {
    Expr value = start;
    while (true) {
      if (peek().isOperator("|")) {
        next();
        value = filter(value);
      } else if (peek().isName("is")) {
        value = test(value);
      } else if (peek().isOperator("(")) {
        value = new Expr.Call(value, arguments(), peek().line());
      } else {
        return value;
      }
    }
  }

  /** A filter's name and arguments after the bar. */
  Expr.Filter filter(Expr input) {
    Token name = expect(Kind.NAME, "a filter's name");
    if (!Filters.exists(name.text())) {
      throw new TemplateException("no filter named '" + name.text() + "'", name.line());
    }
    Arguments arguments = peek().isOperator("(") ? arguments() : Arguments.NONE;
    return new Expr.Filter(input, name.text(), arguments, name.line());
  }

  private Expr test(Expr input) {
    next();
    boolean negated = skipName("not");
    Token name = expect(Kind.NAME, "a test's name");
    if (!Tests.exists(name.text())) {
      throw new TemplateException("no test named '" + name.text() + "'", name.line());
    }
    Arguments arguments = Arguments.NONE;
    Token ahead = peek();
    if (ahead.isOperator("(")) {
      arguments = arguments();
    } else if ((TEST_ARGUMENTS.contains(ahead.kind())
            && !Set.of("else", "or", "and", "if", "is", "in", "not").contains(ahead.text()))
        || ahead.kind() == Kind.STRING
        || ahead.isOperator("[")
        || ahead.isOperator("{")) {
      arguments = Arguments.of(List.of(postfix(primary())), Map.of());
    }
    Expr test = new Expr.Test(input, name.text(), arguments, name.line());
    return negated ? new Expr.Not(test, name.line()) : test;
  }

  Arguments arguments() {
    expectOperator("(");
    List<Expr> positional = new ArrayList<>();
    Map<String, Expr> named = new LinkedHashMap<>();
    Expr list = null;
    Expr dict = null;
    boolean first = true;
    while (!skipOperator(")")) {
      if (!first) {
        expectOperator(",");
        if (skipOperator(")")) {
          break;
        }
      }
      first = false;
      if (peek().isOperator("**") && dict == null) {
        next();
        dict = expression();
      } else if (peek().isOperator("*") && list == null && dict == null) {
        next();
        list = expression();
      } else if (peek().kind() == Kind.NAME && peekSecond().isOperator("=") && dict == null) {
        String name = next().text();
        next();
        if (named.put(name, expression()) != null) {
          throw error("the argument '" + name + "' is given twice");
        }
      } else if (named.isEmpty() && list == null && dict == null) {
        positional.add(expression());
      } else {
        throw error("an argument stands behind one that comes later in order");
      }
    }
    return new Arguments(positional, named, list, dict);
  }
}

package io.tercel.server.text.jinja;

import io.tercel.server.text.jinja.Statement.Target;
import io.tercel.server.text.jinja.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Parses a template's statements; a tag that the interpreter does not know is refused by name. */
final class Parser {
  private static final int MAX_NESTING = 100;

  private final ExprParser in;
  private int nesting;
  private int loops;

  private Parser(List<Token> tokens) {
    this.in = new ExprParser(tokens);
  }

  static List<Statement> parse(String source) {
    Parser parser = new Parser(Lexer.tokenize(source));
    return parser.body(Set.of());
  }

  /** Statements up to one of the closing tags, whose name is then the next token. */
  private List<Statement> body(Set<String> closing) {
    if (++nesting > MAX_NESTING) {
      throw in.error("blocks are nested more than " + MAX_NESTING + " deep");
    }
    List<Statement> statements = new ArrayList<>();
    while (true) {
      Token token = in.next();
      switch (token.kind()) {
        case DATA -> statements.add(new Statement.Text(token.text(), token.line()));
        case OUTPUT_BEGIN -> {
          statements.add(new Statement.Output(in.tuple(true), token.line()));
          in.expect(Kind.OUTPUT_END, "'}}'");
        }
        case BLOCK_BEGIN -> {
          if (in.peek().kind() == Kind.NAME && closing.contains(in.peek().text())) {
            nesting--;
            return statements;
          }
          statements.add(statement());
        }
        case EOF -> {
          if (!closing.isEmpty()) {
            throw in.error("the template ends before '" + String.join("' or '", closing) + "'");
          }
          return statements;
        }
        default -> throw new TemplateException("unexpected " + token.describe(), token.line());
      }
    }
  }

  private Statement statement() {
    Token tag = in.expect(Kind.NAME, "a tag's name");
    int line = tag.line();
    return switch (tag.text()) {
      case "if" -> ifBlock(line);
      case "for" -> forBlock(line);
      case "set" -> set(line);
      case "macro" -> macro(line);
      case "call" -> callBlock(line);
      case "filter" -> filterBlock(line);
      case "with" -> with(line);
      case "generation" -> {
        blockEnd();
        List<Statement> inner = body(Set.of("endgeneration"));
        end();
        yield new Statement.Block(List.of(), inner, line);
      }
      case "break", "continue" -> {
        if (loops == 0) {
          throw new TemplateException("'" + tag.text() + "' stands outside a loop", line);
        }
        blockEnd();
        yield tag.isName("break") ? new Statement.Break(line) : new Statement.Continue(line);
      }
      case "endif",
          "endfor",
          "endset",
          "endmacro",
          "endcall",
          "endfilter",
          "endwith",
          "else",
          "elif",
          "endgeneration",
          "endraw" ->
          throw new TemplateException("'" + tag.text() + "' closes nothing here", line);
      default -> throw new TemplateException("the tag '" + tag.text() + "' is not supported", line);
    };
  }

  private void blockEnd() {
    in.expect(Kind.BLOCK_END, "'%}'");
  }

  /** Takes the closing tag's name and its end. */
  private void end() {
    in.next();
    blockEnd();
  }

  private Statement ifBlock(int line) {
    List<Statement.Branch> branches = new ArrayList<>();
    List<Statement> otherwise = List.of();
    Expr test = in.tuple(true);
    while (true) {
      blockEnd();
      List<Statement> inner = body(Set.of("elif", "else", "endif"));
      branches.add(new Statement.Branch(test, inner));
      Token closing = in.next();
      if (closing.isName("elif")) {
        test = in.tuple(true);
        continue;
      }
      blockEnd();
      if (closing.isName("else")) {
        otherwise = body(Set.of("endif"));
        end();
      }
      return new Statement.If(branches, otherwise, line);
    }
  }

  private Statement forBlock(int line) {
    Target target = target(false);
    if (!in.skipName("in")) {
      throw in.unexpected("'in'");
    }
    Expr items = in.tuple(false);
    Expr filter = in.skipName("if") ? in.expression() : null;
    if (in.peek().isName("recursive")) {
      throw in.error("'recursive' loops are not supported");
    }
    blockEnd();
    loops++;
    List<Statement> inner = body(Set.of("else", "endfor"));
    loops--;
    List<Statement> otherwise = List.of();
    if (in.next().isName("else")) {
      blockEnd();
      otherwise = body(Set.of("endfor"));
      in.next();
    }
    blockEnd();
    return new Statement.For(target, items, filter, inner, otherwise, line);
  }

  private Statement set(int line) {
    Target target = target(true);
    if (in.skipOperator("=")) {
      Expr value = in.tuple(true);
      blockEnd();
      return new Statement.Set(target, value, line);
    }
    return capture(target, "endset", line);
  }

  private Statement capture(@Nullable Target target, String closing, int line) {
    List<Expr.Filter> filters = new ArrayList<>();
    Expr placeholder = new Expr.Literal("", line);
    if (target == null) {
      filters.add(in.filter(placeholder));
    }
    while (in.skipOperator("|")) {
      filters.add(in.filter(placeholder));
    }
    blockEnd();
    List<Statement> inner = body(Set.of(closing));
    end();
    return new Statement.Capture(target, inner, filters, line);
  }

  private Statement filterBlock(int line) {
    return capture(null, "endfilter", line);
  }

  private Statement with(int line) {
    List<Statement.Set> assignments = new ArrayList<>();
    while (in.peek().kind() != Kind.BLOCK_END) {
      if (!assignments.isEmpty()) {
        in.expectOperator(",");
      }
      Target target = single(false);
      in.expectOperator("=");
      assignments.add(new Statement.Set(target, in.expression(), line));
    }
    blockEnd();
    List<Statement> inner = body(Set.of("endwith"));
    end();
    return new Statement.Block(assignments, inner, line);
  }

  private Target target(boolean withMember) {
    List<Target> parts = new ArrayList<>(List.of(single(withMember)));
    boolean tuple = in.peek().isOperator(",");
    while (in.skipOperator(",")) {
      if (in.peek().kind() != Kind.NAME && !in.peek().isOperator("(")) {
        break;
      }
      parts.add(single(withMember));
    }
    return tuple ? new Target.Unpack(parts) : parts.get(0);
  }

  private Target single(boolean withMember) {
    if (in.skipOperator("(")) {
      Target inner = target(withMember);
      in.expectOperator(")");
      return inner;
    }
    String name = in.expect(Kind.NAME, "a name to assign").text();
    if (Set.of("true", "false", "none", "True", "False", "None").contains(name)) {
      throw in.error("'" + name + "' cannot be assigned");
    }
    if (withMember && in.skipOperator(".")) {
      return new Target.Member(name, in.expect(Kind.NAME, "an attribute's name").text());
    }
    return new Target.Variable(name);
  }

  private Statement macro(int line) {
    String name = in.expect(Kind.NAME, "the macro's name").text();
    List<Statement.Parameter> parameters = parameters();
    blockEnd();
    Statement.Macro macro = macroBody(name, parameters, "endmacro", line);
    return macro;
  }

  private Statement.Macro macroBody(
      String name, List<Statement.Parameter> parameters, String closing, int line) {
    int outerLoops = loops;
    loops = 0; // A break inside a macro cannot leave a loop around it.
    List<Statement> inner = body(Set.of(closing));
    loops = outerLoops;
    end();
    return new Statement.Macro(name, parameters, inner, line);
  }

  private List<Statement.Parameter> parameters() {
    in.expectOperator("(");
    List<Statement.Parameter> parameters = new ArrayList<>();
    boolean optional = false;
    while (!in.skipOperator(")")) {
      if (!parameters.isEmpty()) {
        in.expectOperator(",");
      }
      String name = in.expect(Kind.NAME, "a parameter's name").text();
      Expr fallback = in.skipOperator("=") ? in.expression() : null;
      if (optional && fallback == null) {
        throw in.error("the parameter '" + name + "' has no default but follows one that has");
      }
      optional |= fallback != null;
      parameters.add(new Statement.Parameter(name, fallback));
    }
    return parameters;
  }

  private Statement callBlock(int line) {
    List<Statement.Parameter> parameters = in.peek().isOperator("(") ? parameters() : List.of();
    if (!(in.expression() instanceof Expr.Call call)) {
      throw in.error("'call' takes a call of a macro");
    }
    blockEnd();
    return new Statement.CallBlock(macroBody("caller", parameters, "endcall", line), call, line);
  }
}

package io.tercel.server.text.jinja;

import io.tercel.server.text.jinja.Token.Kind;
import java.util.List;

/** A place among a template's tokens, and the errors that name it. */
abstract sealed class TokenCursor permits ExprParser {
  private final List<Token> tokens;
  private int position;

  TokenCursor(List<Token> tokens) {
    this.tokens = tokens;
  }

  Token peek() {
    return tokens.get(position);
  }

  Token next() {
    Token token = tokens.get(position);
    if (token.kind() != Kind.EOF) {
      position++;
    }
    return token;
  }

  Token peekSecond() {
    return tokens.get(Math.min(position + 1, tokens.size() - 1));
  }

  boolean skipOperator(String operator) {
    boolean found = peek().isOperator(operator);
    if (found) {
      next();
    }
    return found;
  }

  boolean skipName(String name) {
    boolean found = peek().isName(name);
    if (found) {
      next();
    }
    return found;
  }

  void expectOperator(String operator) {
    if (!skipOperator(operator)) {
      throw unexpected("'" + operator + "'");
    }
  }

  Token expect(Kind kind, String what) {
    if (peek().kind() != kind) {
      throw unexpected(what);
    }
    return next();
  }

  TemplateException unexpected(String wanted) {
    return error("expected " + wanted + ", found " + peek().describe());
  }

  TemplateException error(String reason) {
    return new TemplateException(reason, peek().line());
  }
}

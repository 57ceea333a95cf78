package io.tercel.server.text.jinja;

/** A lexical piece of a template: text outside tags, a tag's delimiter, or a word within a tag. */
record Token(Kind kind, String text, int line) {
  enum Kind {
    DATA,
    OUTPUT_BEGIN,
    OUTPUT_END,
    BLOCK_BEGIN,
    BLOCK_END,
    NAME,
    STRING,
    INTEGER,
    FLOAT,
    OPERATOR,
    EOF
  }

  boolean is(Kind expected, String value) {
    return kind == expected && text.equals(value);
  }

  boolean isName(String value) {
    return is(Kind.NAME, value);
  }

  boolean isOperator(String value) {
    return is(Kind.OPERATOR, value);
  }

  /** How an error message calls this token. */
  String describe() {
    return switch (kind) {
      case EOF -> "the end of the template";
      case DATA -> "text";
      case OUTPUT_BEGIN, OUTPUT_END, BLOCK_BEGIN, BLOCK_END -> "'" + text + "'";
      case STRING -> "a string";
      default -> "'" + text + "'";
    };
  }
}

package io.tercel.server.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.jspecify.annotations.Nullable;

/**
 * The JSON within one tool call, {@code {"name": …, "arguments": {…}}}, read character by
 * character. What the arguments say is not checked: a client gets the letters that the model wrote.
 * Some models write {@code parameters} instead, or the arguments as JSON in a string.
 */
final class ToolCallBody {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What comes next. */
  private enum Expect {
    OPEN,
    KEY_OR_CLOSE,
    KEY,
    COLON,
    VALUE,
    COMMA_OR_CLOSE,
    NOTHING
  }

  private Expect expect = Expect.OPEN;
  private final StringBuilder literal = new StringBuilder();
  private String key = "";
  private int depth;
  private boolean inString;
  private boolean escaped;
  private boolean inLiteral;
  private @Nullable String name;
  private @Nullable String arguments;
  private @Nullable String parameters;

  /** Takes the next character; false if it can't belong to the object. */
  boolean accept(char c) {
    return inLiteral ? within(c) : between(c);
  }

  private boolean between(char c) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
      return true;
    }
    Expect now = expect;
    switch (now) {
      case OPEN -> expect = Expect.KEY_OR_CLOSE;
      case KEY_OR_CLOSE, KEY, VALUE -> {
        if (c == '}') {
          expect = Expect.NOTHING;
        } else {
          begin(c);
        }
      }
      case COLON -> expect = Expect.VALUE;
      case COMMA_OR_CLOSE ->
          expect = c == ',' ? Expect.KEY : c == '}' ? Expect.NOTHING : Expect.COMMA_OR_CLOSE;
      case NOTHING -> {}
    }
    return switch (now) {
      case OPEN -> c == '{';
      case KEY_OR_CLOSE -> c == '"' || c == '}';
      case KEY -> c == '"';
      case COLON -> c == ':';
      case VALUE -> "}],:<".indexOf(c) < 0;
      case COMMA_OR_CLOSE -> c == ',' || c == '}';
      case NOTHING -> false;
    };
  }

  private void begin(char c) {
    literal.setLength(0);
    literal.append(c);
    inLiteral = true;
    inString = c == '"';
    escaped = false;
    depth = c == '{' || c == '[' ? 1 : 0;
  }

  /** Within a key or a value. */
  private boolean within(char c) {
    boolean scalar = depth == 0 && !inString;
    if (scalar && (c == ',' || c == '}' || Character.isWhitespace(c))) {
      return end() && between(c);
    }
    if (!inString && c == '<') {
      return false; // the closing marker came too early
    }
    literal.append(c);
    if (escaped) {
      escaped = false;
    } else if (inString) {
      escaped = c == '\\';
      inString = c != '"';
    } else if (c == '"') {
      inString = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      depth--;
    }
    boolean closed = depth == 0 && !inString && !escaped && (c == '"' || c == '}' || c == ']');
    return !closed || end();
  }

  /** A key or a value is complete. */
  private boolean end() {
    inLiteral = false;
    if (expect != Expect.VALUE) {
      key = text(literal);
      expect = Expect.COLON;
      return true;
    }
    expect = Expect.COMMA_OR_CLOSE;
    switch (key) {
      case "name" -> {
        name = literal.charAt(0) == '"' ? text(literal) : "";
        return !name.isEmpty();
      }
      case "arguments" -> arguments = json();
      case "parameters" -> parameters = json();
      default -> {}
    }
    return true;
  }

  private String json() {
    String written = literal.charAt(0) == '"' ? text(literal) : literal.toString();
    return written.isBlank() || written.equals("null") ? "{}" : written;
  }

  /** What a JSON string says; its raw letters if it is malformed. */
  private static String text(CharSequence literal) {
    try {
      return JSON.readValue(literal.toString(), String.class);
    } catch (JsonProcessingException e) {
      return literal.subSequence(1, literal.length() - 1).toString();
    }
  }

  /** Whether the object has ended. */
  boolean complete() {
    return expect == Expect.NOTHING;
  }

  /** Whether nothing but the object's own bracket is missing. */
  boolean lacksBracket() {
    return name != null
        && (arguments != null || parameters != null)
        && expect == Expect.COMMA_OR_CLOSE;
  }

  /** The function's name; null if none has been written. */
  @Nullable String name() {
    return name;
  }

  /** The arguments; of a call that has none, an empty object. */
  String arguments() {
    String given = arguments != null ? arguments : parameters;
    return given == null ? "{}" : given;
  }
}

package io.tercel.server.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.jspecify.annotations.Nullable;

/**
 * The JSON within one tool call, {@code {"name": …, "arguments": {…}}}, read character by
 * character, so that the arguments can be passed on while the model still writes them. What they
 * say is not checked: a client gets the letters that the model wrote.
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
  private boolean malformed;
  private @Nullable String name;
  private @Nullable StringBuilder arguments;
  private int taken;

  /** Takes the next character; false if it can't belong to the object, which then is malformed. */
  boolean accept(char c) {
    boolean fits = inLiteral ? within(c) : between(c);
    malformed |= !fits;
    return fits;
  }

  private boolean between(char c) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
      return true;
    }
    return switch (expect) {
      case OPEN -> {
        expect = Expect.KEY_OR_CLOSE;
        yield c == '{';
      }
      case KEY_OR_CLOSE, KEY -> key(c);
      case COLON -> {
        expect = Expect.VALUE;
        yield c == ':';
      }
      case VALUE -> {
        begin(c);
        yield "}],:<".indexOf(c) < 0;
      }
      case COMMA_OR_CLOSE -> {
        expect = c == ',' ? Expect.KEY : Expect.NOTHING;
        yield c == ',' || c == '}';
      }
      case NOTHING -> false;
    };
  }

  private boolean key(char c) {
    if (c == '"') {
      begin(c);
      return true;
    }
    boolean closes = c == '}' && expect == Expect.KEY_OR_CLOSE;
    expect = Expect.NOTHING;
    return closes;
  }

  private void begin(char c) {
    literal.setLength(0);
    literal.append(c);
    inLiteral = true;
    inString = c == '"';
    escaped = false;
    depth = c == '{' || c == '[' ? 1 : 0;
    if (expect == Expect.VALUE && key.equals("arguments") && arguments != null) {
      key = ""; // a second time: the first have been passed on
    }
    if (isArguments()) {
      arguments = new StringBuilder().append(c);
    }
  }

  private boolean isArguments() {
    return expect == Expect.VALUE && key.equals("arguments");
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
    if (arguments != null && isArguments()) {
      arguments.append(c);
    }
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
    if (key.equals("name")) {
      name = literal.charAt(0) == '"' ? text(literal) : null;
      return name != null && !name.isEmpty();
    }
    if (key.equals("arguments") && literal.charAt(0) == '"') {
      arguments = new StringBuilder(text(literal)); // some models write them as a JSON string
    }
    return true;
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
    return expect == Expect.NOTHING && !malformed;
  }

  /**
   * The function's name, once it is certain that this is a call: the name is known and arguments
   * have begun, or the object has ended without any.
   */
  @Nullable String name() {
    StringBuilder written = arguments;
    boolean begun = written != null && (written.charAt(0) == '{' || !inLiteral || !isArguments());
    return begun || complete() ? name : null;
  }

  /** Arguments not taken yet; of a call that has none, an empty object. */
  String takeArguments() {
    StringBuilder written = arguments;
    if (written == null) {
      if (!complete()) {
        return "";
      }
      written = new StringBuilder("{}");
      arguments = written;
    }
    if (inLiteral && isArguments() && inString && depth == 0) {
      return ""; // a string of JSON is only known at its end
    }
    String fresh = written.substring(taken);
    taken = written.length();
    return fresh;
  }
}

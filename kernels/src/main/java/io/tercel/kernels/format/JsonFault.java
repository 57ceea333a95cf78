package io.tercel.kernels.format;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What is wrong with a text that should be JSON, and where, in words for whoever wrote it: the
 * parser's own name its classes and switches.
 */
public final class JsonFault {
  private static final int MAX_SHOWN = 40;
  private static final Pattern CHARACTER =
      Pattern.compile("Unexpected character \\('(.*?)' \\(code \\d+.*?\\)\\)(.*)", Pattern.DOTALL);
  private static final Pattern CLOSING =
      Pattern.compile("Unexpected close marker '(.)': expected '(.)'.*", Pattern.DOTALL);
  private static final Pattern WORD =
      Pattern.compile("(?:Unrecognized token|Non-standard token) '(.*?)'.*", Pattern.DOTALL);
  private static final Pattern LIMIT =
      Pattern.compile("([^`]*?),? ?from `[^`]*`(.*)", Pattern.DOTALL);

  private JsonFault() {}

  /** Such as {@code unexpected '}': a value is expected, at line 2, column 8}. */
  public static String of(JsonProcessingException e) {
    JsonLocation at = e.getLocation();
    String what = what(e);
    return at == null || at.getLineNr() < 1
        ? what
        : "%s at line %d, column %d".formatted(what, at.getLineNr(), at.getColumnNr());
  }

  private static String what(JsonProcessingException e) {
    String text = String.valueOf(e.getOriginalMessage());
    return switch (e) {
      case StreamConstraintsException _ -> limit(text);
      case JsonEOFException _ -> "it ends too early,";
      case MismatchedInputException _ -> "something follows the value";
      default -> syntax(text);
    };
  }

  private static String limit(String text) {
    Matcher limit = LIMIT.matcher(text);
    return limit.matches() ? limit.group(1) + limit.group(2) : "it is too large or too deep";
  }

  private static String syntax(String text) {
    Matcher character = CHARACTER.matcher(text);
    if (character.matches()) {
      return "unexpected '%s'%s".formatted(shown(character.group(1)), wanted(character.group(2)));
    }
    Matcher closing = CLOSING.matcher(text);
    if (closing.matches()) {
      return "unexpected '%s' where '%s' is due".formatted(closing.group(1), closing.group(2));
    }
    Matcher word = WORD.matcher(text);
    if (word.matches()) {
      return "'%s' is no JSON value".formatted(shown(word.group(1)));
    }
    if (text.startsWith("Duplicate ")) {
      return "Duplicate field " + shown(text.replaceFirst("^Duplicate [^']*", ""));
    }
    if (text.contains("out of range")) {
      return "a number is out of range";
    }
    if (text.startsWith("Illegal unquoted character")) {
      return "a control character in a string must be escaped,";
    }
    if (text.contains("character escape") || text.contains("hex-digit")) {
      return "a string has an escape that JSON lacks,";
    }
    if (text.contains("UTF-8")) {
      return "it is not UTF-8";
    }
    if (text.contains("eading zeroes")) {
      return "a number begins with 0,";
    }
    return text.contains("numeric value") ? "a number is not well-formed" : "it is not well-formed";
  }

  private static String wanted(String message) {
    if (message.contains("double-quote")) {
      return " where a field's name in double quotes is due";
    }
    if (message.contains("colon")) {
      return " where a colon is due";
    }
    if (message.contains("comma")) {
      return " where a comma or the end is due";
    }
    if (message.contains("numeric value") || message.contains("digit")) {
      return " within a number";
    }
    return message.contains("value") ? " where a value is due" : "";
  }

  private static String shown(String text) {
    return text.length() > MAX_SHOWN ? text.substring(0, MAX_SHOWN) + "…" : text;
  }
}

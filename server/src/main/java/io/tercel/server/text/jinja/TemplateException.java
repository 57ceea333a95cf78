package io.tercel.server.text.jinja;

/**
 * A template that cannot be parsed or rendered, said in one line: where, what and why.
 *
 * <p>The text names constructs and types of the template and what {@code raise_exception} was given
 * by its author; it never quotes a message of the conversation.
 */
public final class TemplateException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final int MAX_REASON = 500;

  private final int line;
  private final String reason;

  /**
   * An error at a line of the template.
   *
   * @param reason what and why, without the line
   * @param line the template's line from 1, or 0 where none is known
   */
  public TemplateException(String reason, int line) {
    super(place(line) + oneLine(reason));
    this.reason = oneLine(reason);
    this.line = line;
  }

  /** The template's line from 1; 0 where none is known. */
  public int line() {
    return line;
  }

  /** The place and the reason; never null, unlike other exceptions'. */
  @Override
  public String getMessage() {
    return place(line) + reason;
  }

  /** What went wrong, without the line. */
  public String reason() {
    return reason;
  }

  /** The same error placed at a line, unless it already has one. */
  TemplateException at(int where) {
    return line > 0 ? this : new TemplateException(reason, where);
  }

  static TemplateException of(String reason) {
    return new TemplateException(reason, 0);
  }

  private static String place(int line) {
    return line > 0 ? "chat template, line " + line + ": " : "chat template: ";
  }

  private static String oneLine(String text) {
    // Cut first: a template may raise with megabytes of blanks, on which the pattern is slow.
    String start = text.substring(0, Math.min(text.length(), 4 * MAX_REASON));
    String flat = start.replaceAll("\\s*[\\r\\n]+\\s*", " ").strip();
    return flat.length() <= MAX_REASON ? flat : flat.substring(0, MAX_REASON) + "…";
  }
}

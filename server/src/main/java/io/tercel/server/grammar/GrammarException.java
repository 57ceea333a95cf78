package io.tercel.server.grammar;

/** A form that can't be asked for. Carries no stack trace: it is the client's fault. */
public final class GrammarException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String path;
  private final boolean mayBeSimpler;

  /**
   * @param path of the offending part, beginning with the field that the form came from
   * @param reason what is wrong with it, to be read behind the path
   */
  public GrammarException(String path, String reason) {
    this(path, reason, false);
  }

  private GrammarException(String path, String reason, boolean mayBeSimpler) {
    super(reason, null, false, false);
    this.path = path;
    this.mayBeSimpler = mayBeSimpler;
  }

  /**
   * Of a form that takes more than {@link Complexity} grants.
   *
   * @param mayBeSimpler whether it might take less if it is written in another way
   */
  static GrammarException tooComplex(String path, boolean mayBeSimpler) {
    return new GrammarException(
        path,
        "is too complex; use shorter repeats, fewer alternatives or a smaller schema",
        mayBeSimpler);
  }

  boolean mayBeSimpler() {
    return mayBeSimpler;
  }

  /** Where the offending part is, such as {@code schema.properties.a.not}. */
  public String path() {
    return path;
  }

  /** What is wrong there. */
  public String reason() {
    return String.valueOf(getMessage());
  }
}

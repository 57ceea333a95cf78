package io.tercel.server.engine.speculation;

/**
 * How drafts are made. Speculation changes no token and no log-prob, only the number of steps.
 *
 * @param method where drafts come from
 * @param maxTokens the longest draft, 1 to {@value #MOST}; a step computes one row more
 * @param always whether to draft even where it doesn't pay: for tests and measurements
 */
public record Speculation(Method method, int maxTokens, boolean always) {
  /** A draft of so many tokens and the token before it: the rows that a kernel takes at once. */
  public static final int DEFAULT_TOKENS = 7;

  /** No draft is longer. */
  public static final int MOST = 15;

  /** None. */
  public static final Speculation OFF = new Speculation(Method.OFF, 1, false);

  /** Where drafts come from. */
  public enum Method {
    /** Nowhere: one token a step. */
    OFF,
    /** The sequence's own prompt and output. */
    NGRAM,
    /** What all sequences have said lately, and the own prompt. */
    SUFFIX
  }

  public Speculation {
    if (maxTokens < 1 || maxTokens > MOST) {
      throw new IllegalArgumentException(
          "speculative-tokens: %d is out of range, 1 to %d".formatted(maxTokens, MOST));
    }
  }

  /** With drafts of the usual length, where they pay. */
  public static Speculation of(Method method) {
    return new Speculation(method, DEFAULT_TOKENS, false);
  }

  public boolean isOn() {
    return method != Method.OFF;
  }
}

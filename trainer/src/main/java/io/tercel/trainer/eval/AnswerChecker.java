package io.tercel.trainer.eval;

import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Judges a completion by its final answer. Integers, decimals (to five places), repeating decimals,
 * fractions, roots, factorials, multiples of pi, complex numbers, tuples, sets, intervals,
 * matrices, texts, units and percentages are compared by meaning, all else by its normalised text.
 * Deterministic, safe for many threads, and bounded in time on any input.
 */
public final class AnswerChecker {
  /** For evaluation: the answer may stand anywhere, {@code \boxed} first. */
  public static final AnswerChecker EVALUATION = new AnswerChecker(false);

  /** For a training reward: only {@code \boxed} counts, so that nothing else is learnt. */
  public static final AnswerChecker REWARD = new AnswerChecker(true);

  private static final Pattern LETTER = Pattern.compile("\\(?([A-Z])[).:]?");
  private static final Pattern LETTER_AND_TEXT =
      Pattern.compile("\\**\\(?([A-Z])(?:[).:]\\**\\s.*|\\**)", Pattern.DOTALL);

  private final boolean boxedOnly;

  private AnswerChecker(boolean boxedOnly) {
    this.boxedOnly = boxedOnly;
  }

  /**
   * What a completion came to.
   *
   * @param given the answer that was found, as written; null if there is none
   */
  public record Verdict(@Nullable String given, boolean correct) {}

  /**
   * Finds a completion's answer and compares it.
   *
   * @param completion the text after the thought; a thought in {@code <think>} marks is passed over
   * @param expected the right answer
   */
  public Verdict check(String completion, String expected) {
    Optional<String> given =
        boxedOnly ? AnswerFinder.boxed(completion) : AnswerFinder.find(completion);
    return new Verdict(given.orElse(null), given.isPresent() && same(given.get(), expected));
  }

  /** Whether two answers, without the text around them, are the same. */
  public static boolean same(String given, String expected) {
    String left = AnswerText.clean(given);
    String right = AnswerText.clean(expected);
    if (right.isEmpty() || left.isEmpty()) {
      return false;
    }
    if (AnswerText.normal(left).equals(AnswerText.normal(right))) {
      return true;
    }
    var choice = LETTER.matcher(right);
    if (choice.matches()) {
      var chosen = LETTER_AND_TEXT.matcher(AnswerText.unwrapped(left, " ").strip());
      return chosen.matches() && choice.group(1).equals(chosen.group(1));
    }
    return AnswerReader.read(given).same(AnswerReader.read(expected));
  }
}

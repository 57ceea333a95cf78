package io.tercel.server.engine.speculation;

/**
 * One sequence's drafts: makes them, as long as they pay, and compares them with what was said
 * afterwards. They are compared whether they were verified or not: a sequence whose drafts come
 * true less often than others' is no longer drafted for, and is again when they do.
 */
public final class Drafting {
  /** Tokens that the belief in a sequence counts for before it has shown anything. */
  private static final double PRIOR = 4;

  private static final double FADING = 0.96;

  /** Nothing is certain enough to be drafted without end. */
  private static final double MOST_LIKELY = 0.99;

  private final Speculator shared;
  private final Drafter drafter;
  private final Draft draft = new Draft();
  private final double[] chances = new double[Speculation.MOST];
  private int draftedAt; // tokens before the draft
  private double right; // lately, and how many should have been
  private double expected;

  Drafting(Speculator shared, Drafter drafter) {
    this.shared = shared;
    this.drafter = drafter;
  }

  /**
   * Guesses what comes behind these tokens.
   *
   * @param tokens the sequence's, prompt first; those of earlier calls are the same
   * @param most tokens of the draft
   * @return how many tokens it is worth to verify in the step that the speculator has begun
   */
  public int draft(int[] tokens, int length, int most) {
    judge(tokens, length);
    draft.clear();
    draftedAt = length;
    double belief = (right + PRIOR) / (expected + PRIOR);
    double least = shared.least() / Math.max(1, belief);
    drafter.draft(tokens, length, Math.min(most, Speculation.MOST), least, draft);
    double chance = 1;
    for (int i = 0; i < draft.size(); i++) {
      chance *= Math.min(MOST_LIKELY, shared.acceptance().rate(draft.kind(i)) * belief);
      chances[i] = chance;
    }
    return shared.worth(chances, draft.size());
  }

  /** A token of the draft made last. */
  public int token(int i) {
    return draft.token(i);
  }

  /** The chance that it comes true, with all before it; in (0, 1). */
  public double chance(int i) {
    return chances[i];
  }

  /** The sequence has ended with these tokens. */
  public void end(int[] tokens, int length) {
    judge(tokens, length);
    draft.clear();
    drafter.end(tokens, length);
  }

  private void judge(int[] tokens, int length) {
    for (int i = 0; i < draft.size() && draftedAt + i < length; i++) {
      int kind = draft.kind(i);
      boolean cameTrue = tokens[draftedAt + i] == draft.token(i);
      right = FADING * right + (cameTrue ? 1 : 0);
      expected = FADING * expected + shared.acceptance().rate(kind);
      shared.acceptance().count(kind, cameTrue);
      if (!cameTrue) {
        return;
      }
    }
  }
}

package io.tercel.server.engine;

import io.tercel.kernels.ops.Penalties;
import io.tercel.kernels.ops.TokenCounts;
import org.jspecify.annotations.Nullable;

/**
 * What a sequence will be behind tokens that are only drafted: everything that the next token's
 * draw depends on but the logits. The sequence itself, its watches, form and counts see verified
 * tokens only, so nothing has to be taken back where a draft was wrong.
 *
 * <p>Whether a thought is cut behind a drafted token it does not foresee: then the sequence goes on
 * otherwise than looked ahead, and what was computed further on is left ({@link Stepper}).
 */
final class Lookahead {
  private final Sequence sequence;
  private final int[] drafted;
  private int numAhead; // of the drafted
  private @Nullable FormWatch form; // the sequence's own while nothing is ahead

  /**
   * Nothing ahead yet.
   *
   * @param drafted tokens that may come next, not copied
   */
  Lookahead(Sequence sequence, int[] drafted) {
    this.sequence = sequence;
    this.drafted = drafted;
    this.form = sequence.form();
  }

  /** The sequence goes on with the next drafted token. */
  void advance() {
    if (form != null) {
      form = numAhead == 0 ? form.copy() : form;
      form.accept(drafted[numAhead], forcedToken() >= 0);
    }
    numAhead++;
  }

  Sequence sequence() {
    return sequence;
  }

  int numTokens() {
    return sequence.numTokens() + numAhead;
  }

  int numGeneratedTokens() {
    return sequence.numGeneratedTokens() + numAhead;
  }

  /** The token that comes next whatever the model says, or -1. */
  int forcedToken() {
    return sequence.forcedToken(numAhead);
  }

  /** The form that the answer must have; null for any. */
  @Nullable FormWatch form() {
    return form;
  }

  /** Counts of their own for each drafted row, which stay as they are when the next is added. */
  @Nullable Penalties penalties() {
    Penalties now = sequence.penalties();
    if (now == null || numAhead == 0) {
      return now;
    }
    TokenCounts generated = now.generated().copy();
    for (int i = 0; i < numAhead; i++) {
      generated.add(drafted[i]);
    }
    return new Penalties(
        now.presence(), now.frequency(), now.repetition(), generated, now.prompt());
  }
}

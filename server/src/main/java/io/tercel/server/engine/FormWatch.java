package io.tercel.server.engine;

import io.tercel.server.grammar.TokenAutomaton;
import java.util.Arrays;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Follows one choice's answer along its form and says which tokens may come next. A thought is
 * free: the form begins behind the token that closes it, and behind the tokens that were forced
 * with that one.
 *
 * <p>It follows tokens as they are appended, so being set back and computed again changes nothing.
 */
final class FormWatch {
  private final TokenAutomaton.Position answer;
  private final @Nullable Thinking thinking;
  private boolean inThought;
  private boolean mayOpenThought;

  private FormWatch(FormWatch other) {
    this.answer = other.answer.copy();
    this.thinking = other.thinking;
    this.inThought = other.inThought;
    this.mayOpenThought = other.mayOpenThought;
  }

  FormWatch(AnswerForm form, @Nullable Thinking thinking) {
    this.answer = form.automaton().start();
    this.thinking = thinking;
    this.inThought = thinking != null && thinking.startsOpen();
    this.mayOpenThought =
        form.mayThinkFirst() && thinking != null && thinking.openId() >= 0 && !inThought;
  }

  /** Another that has seen the same, to look ahead with. */
  FormWatch copy() {
    return new FormWatch(this);
  }

  /**
   * Takes the next token.
   *
   * @param forced whether it was not drawn; such tokens are no part of the answer
   */
  void accept(int token, boolean forced) {
    boolean first = mayOpenThought;
    mayOpenThought = false;
    if (inThought) {
      inThought = thinking == null || token != thinking.closeId();
    } else if (first && thinking != null && token == thinking.openId()) {
      inThought = true;
    } else if (!forced) {
      answer.accept(token);
    }
  }

  /** Whether the next token is bound. */
  boolean isBound() {
    return !inThought;
  }

  /** Whether the answer has left its form, which no model can bring about that obeys the mask. */
  boolean isBroken() {
    return answer.isDead();
  }

  /**
   * The ids that may be drawn next, a bit each; null for all.
   *
   * @param forbidden ids that should not be drawn yet; they are if nothing else may come
   */
  long @Nullable [] allowed(@Nullable Set<Integer> forbidden) {
    if (inThought) {
      return null;
    }
    long[] words = answer.allowed();
    if (mayOpenThought && thinking != null) {
      int open = thinking.openId();
      long[] wider = Arrays.copyOf(words, Math.max(words.length, open / 64 + 1));
      wider[open >> 6] |= 1L << open;
      words = wider;
    }
    return forbidden == null ? words : without(forbidden, words);
  }

  private static long[] without(Set<Integer> forbidden, long[] words) {
    long[] fewer = words.clone();
    for (int id : forbidden) {
      if (id >> 6 < fewer.length) {
        fewer[id >> 6] &= ~(1L << id);
      }
    }
    for (long word : fewer) {
      if (word != 0) {
        return fewer;
      }
    }
    return words;
  }
}

package io.tercel.server.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Follows one choice through its thought and its answer, token by token, and says when to step in:
 * a thought over its budget or caught in a loop is closed by force, once, so that the model goes on
 * to an answer; an answer caught in a loop is ended.
 *
 * <p>To cut a thought costs little: an answer still follows. To cut an answer loses text, and
 * tables and code repeat themselves rightly (a matrix of zeros), so an answer must loop for longer.
 */
final class ThoughtWatch {
  /** Three equal periods and 128 repeated tokens. */
  private static final int THOUGHT_PERIODS = 3;

  private static final int THOUGHT_REPEATED = 128;

  /** Four equal periods and 512 repeated tokens. */
  private static final int ANSWER_PERIODS = 4;

  private static final int ANSWER_REPEATED = 512;

  /** What is to be done after a token. */
  enum Verdict {
    GO_ON,
    CLOSE_THOUGHT,
    END_CHOICE
  }

  private final @Nullable Thinking thinking;
  private final @Nullable LoopDetector loops;
  private boolean inThought;
  private boolean thoughtBegan;
  private int thoughtTokens;

  ThoughtWatch(SamplingParams params) {
    this.thinking = params.thinking();
    this.loops = params.ending().breakLoops() ? new LoopDetector() : null;
    this.inThought = thinking != null && thinking.startsOpen();
    this.thoughtBegan = inThought;
  }

  /** Before the first token: a budget of 0 closes an open thought at once. */
  Verdict start() {
    return overBudget() ? Verdict.CLOSE_THOUGHT : Verdict.GO_ON;
  }

  /** After each token, but those that were forced. */
  Verdict accept(int token) {
    if (thinking != null && moved(token, thinking)) {
      return overBudget() ? Verdict.CLOSE_THOUGHT : Verdict.GO_ON;
    }
    boolean loop =
        loops != null
            && loops.accept(
                token,
                inThought ? THOUGHT_PERIODS : ANSWER_PERIODS,
                inThought ? THOUGHT_REPEATED : ANSWER_REPEATED);
    if (!inThought) {
      return loop ? Verdict.END_CHOICE : Verdict.GO_ON;
    }
    thoughtTokens++;
    return loop || overBudget() ? Verdict.CLOSE_THOUGHT : Verdict.GO_ON;
  }

  /** The tokens that close the thought now follow. */
  List<Integer> close() {
    if (thinking == null) {
      throw new IllegalStateException("there is no thought to close");
    }
    leave();
    return thinking.closing();
  }

  /** Whether the token opened or closed the thought; there is only one, later markers are text. */
  private boolean moved(int token, Thinking t) {
    if (inThought && token == t.closeId()) {
      leave();
      return true;
    }
    if (!thoughtBegan && token == t.openId()) {
      inThought = true;
      thoughtBegan = true;
      return true;
    }
    return false;
  }

  private void leave() {
    inThought = false;
    if (loops != null) {
      loops.reset();
    }
  }

  private boolean overBudget() {
    return inThought
        && thinking != null
        && thinking.budget() >= 0
        && thoughtTokens >= thinking.budget();
  }
}

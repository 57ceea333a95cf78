package io.tercel.server.engine;

import io.tercel.kernels.ops.TokenResult;
import java.util.List;

/** What the engine says of a request, in order; see {@link Generation#take}. */
public sealed interface EngineEvent {

  /**
   * A choice left the queue for the first time; its first tokens are computed now.
   *
   * @param cachedTokens prompt tokens that came from the prefix cache; for choices after the first,
   *     those that the first has just computed are among them
   * @param queuedNanos how long it waited
   */
  record Started(int choice, int cachedTokens, long queuedNanos) implements EngineEvent {}

  /**
   * The prompt's scores, once, before the first token, where they were asked for; such a prompt
   * does not come from the prefix cache.
   *
   * @param tokens one an id from the second on: token i + 1 given all before it
   */
  record PromptScored(List<TokenResult> tokens) implements EngineEvent {}

  /**
   * One more token of a choice.
   *
   * @param weightVersion of the weights that made it
   * @param forced whether nothing else could come: the engine put it there to close a thought, or
   *     the answer's form left no other. Its log-prob is still the model's, unless that of the
   *     distribution drawn from was asked for, but it says nothing of the policy: a trainer masks
   *     it
   */
  record Token(int choice, TokenResult result, long weightVersion, boolean forced)
      implements EngineEvent {}

  /**
   * The end of a choice; nothing of it follows.
   *
   * @param stopTokenId the end token that was drawn (it came as a {@link Token} before), or -1
   * @param brokenKv each time that keys which were to be kept were lost after all; empty for
   *     requests that drop theirs
   */
  record Finished(int choice, FinishReason reason, int stopTokenId, List<BrokenKv> brokenKv)
      implements EngineEvent {
    public Finished {
      brokenKv = List.copyOf(brokenKv);
    }

    /** With nothing lost. */
    public Finished(int choice, FinishReason reason, int stopTokenId) {
      this(choice, reason, stopTokenId, List.of());
    }
  }

  /**
   * A kept cache was broken: the choice was set back for want of room, and tokens whose keys and
   * values older weights had made were computed again by newer ones. What it says afterwards is of
   * another mixture than a trainer would think that recomputes by the tokens' versions.
   *
   * @param tokens of the choice whose older keys were lost
   * @param weightVersion of the weights that made them again
   * @param generated tokens that the choice had said before
   */
  record BrokenKv(int tokens, long weightVersion, int generated) {}

  /**
   * The end of the whole request by no wish of its own; the message is for the log and the client.
   *
   * @param closing whether the engine ends, so that trying again here is pointless
   */
  record Failed(String message, boolean closing) implements EngineEvent {}

  /** Why a choice ended. */
  enum FinishReason {
    /** By an end token, or by its client's wish. */
    STOP,
    LENGTH,
    /** The answer repeated itself over and over. */
    REPETITION,
    ABORT
  }
}
